//! What a restart found, put back in its place: nothing of it is written down again.

use std::sync::{Arc, Weak};

use crate::exchange::table::validate_binding;
use crate::exchange::{Destination, Exchange, ExchangeKind};
use crate::names::Name;
use crate::queue::arguments::QueueArguments;
use crate::queue::{NewQueue, Queue};
use crate::restore::{RestoredBinding, RestoredExchange, RestoredQueue};
use crate::vhost::bindings::{Binding, BindingEnd};
use crate::vhost::{BindingKey, Vhost};

impl Vhost {
    /// Puts an exchange back, unless it is predeclared. The error says why it cannot be.
    pub(crate) fn restore_exchange(&self, found: &RestoredExchange) -> Result<(), String> {
        if self.exchanges.get(&*found.name).is_some() {
            return Ok(());
        }
        let kind = ExchangeKind::parse(&found.kind).ok_or_else(|| {
            format!(
                "exchange '{}' in vhost '{}' is left out: its type '{}' is unknown",
                found.name, self.name, found.kind
            )
        })?;
        let (auto_delete, internal) = (found.auto_delete, found.internal);
        let name = found.name.as_str().into();
        self.insert_exchange(Exchange::new(name, kind, true, auto_delete, internal, found.arguments.clone()));
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
        self.insert_queue(&Arc::new(Queue::restored(new, found)));
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
        let source = self.exchange(&found.source).map_err(|error| left_out(&error))?;
        validate_binding(source.kind, &found.arguments).map_err(|error| left_out(&error))?;
        let name = Name::from(found.destination.as_str());
        let (end, to) = if found.destination_is_queue {
            let queue = self.queue(&name).map_err(|error| left_out(&error))?;
            (BindingEnd::Queue(name), Destination::Queue(queue))
        } else {
            self.exchange(&name).map_err(|error| left_out(&error))?;
            (BindingEnd::Exchange(Name::clone(&name)), Destination::Exchange(name))
        };
        let key = BindingKey { source: &found.source, routing_key: &found.routing_key, arguments: &found.arguments };
        self.insert_binding(&mut self.topology.lock(), &source, Binding::new(&key, end, true), to);
        Ok(())
    }
}
