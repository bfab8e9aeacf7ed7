//! What a restart found, put back in its place: nothing of it is written down again.

use std::sync::{Arc, Weak};

use crate::exchange::table::validate_binding;
use crate::exchange::{Destination, Exchange};
use crate::log;
use crate::names::Name;
use crate::queue::arguments::QueueArguments;
use crate::queue::{NewQueue, Queue};
use crate::restore::{RestoredBinding, RestoredExchange, RestoredQueue};
use crate::vhost::bindings::{Binding, BindingEnd};
use crate::vhost::delayed::routing_kind;
use crate::vhost::{BindingKey, Vhost};

impl Vhost {
    /// Puts an exchange back, unless it is predeclared, with what was found to wait in it. The error says why it cannot be.
    pub(crate) fn restore_exchange(
        &self,
        found: &RestoredExchange,
        hidden: Option<&RestoredQueue>,
    ) -> Result<(), String> {
        if self.exchanges.get(&*found.name).is_some() {
            return Ok(());
        }
        let kind = routing_kind(&found.kind, &found.arguments)
            .map_err(|error| format!("exchange '{}' in vhost '{}' is left out: {error}", found.name, self.name))?;
        let (auto_delete, internal) = (found.auto_delete, found.internal);
        let name = found.name.as_str().into();
        let exchange = Exchange::new(name, kind, true, auto_delete, internal, found.arguments.clone());
        self.insert_exchange(self.with_restored_queue(exchange, &found.kind, hidden));
        Ok(())
    }

    /// Puts a queue and its messages back. The error says what is wrong with its arguments: it is there all the same, as if it
    /// had none.
    pub(crate) fn restore_queue(&self, found: &RestoredQueue) -> Result<(), String> {
        let parsed = QueueArguments::parse(&found.name, &self.name, &found.arguments);
        let (settings, problem) = match parsed {
            Ok(settings) => (settings, None),
            Err(error) => (QueueArguments::default(), Some(error)),
        };
        let new = NewQueue {
            id: found.id,
            name: found.name.as_str().into(),
            vhost: Name::clone(&self.name),
            durable: true,
            auto_delete: found.auto_delete,
            owner: None,
            arguments: found.arguments.clone(),
            settings,
            home: Weak::clone(&self.me),
            services: Arc::clone(&self.services),
        };
        let queue = Arc::new(Queue::restored(new, found));
        if found.messages > 0 {
            queue.begin_under(&self.effective_of(&queue));
        }
        self.insert_queue(&queue);
        match problem {
            None => Ok(()),
            Some(error) => {
                Err(format!("arguments of queue '{}' in vhost '{}' are ignored: {error}", found.name, self.name))
            }
        }
    }

    /// Puts a binding back. The error says why it cannot be.
    pub(crate) fn restore_binding(&self, found: &RestoredBinding) -> Result<(), String> {
        let left_out = |reason: &dyn std::fmt::Display| {
            let RestoredBinding { source, destination, .. } = found;
            format!("binding of '{destination}' to '{source}' in vhost '{}' is left out: {reason}", self.name)
        };
        if found.source == log::EXCHANGE {
            // It is not written down. Bindings of durable queues to it are.
            self.declare_log_exchange();
        }
        let source = self.exchange(&found.source).map_err(|error| left_out(&error))?;
        let name = Name::from(found.destination.as_str());
        let (end, to, queue_type) = if found.destination_is_queue {
            let queue = self.queue(&name).map_err(|error| left_out(&error))?;
            let queue_type = queue.settings.queue_type;
            (BindingEnd::Queue(Name::clone(&name)), Destination::Queue(queue), Some(queue_type))
        } else {
            self.exchange(&name).map_err(|error| left_out(&error))?;
            (BindingEnd::Exchange(Name::clone(&name)), Destination::Exchange(Name::clone(&name)), None)
        };
        let key = BindingKey {
            source: &found.source,
            routing_key: &found.routing_key,
            arguments: &found.arguments,
            user: "",
        };
        validate_binding(source.kind, &key.to(&source, &name, queue_type)).map_err(|error| left_out(&error))?;
        self.insert_binding(&mut self.topology.lock(), &source, Binding::new(&key, end, true), to);
        Ok(())
    }
}
