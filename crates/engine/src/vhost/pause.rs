//! Queues that those who administer have paused: they stay so until they are resumed or deleted, also over a restart.
//!
//! What says so is a setting under the queue's name, with its id: should a crash leave it behind, a queue that is declared later
//! under the same name has nothing to do with it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::effects::Effects;
use crate::error::Error;
use crate::journal::{Lsn, Record, SettingKey, SettingKind};
use crate::names::QueueId;
use crate::queue::Queue;
use crate::vhost::Vhost;
use crate::vhost::bindings::Bindings;

/// The field that has the queue's id.
const ID: &str = "id";

impl Vhost {
    /// Delivers nothing from a queue until it is resumed. Says when that is durable.
    ///
    /// # Errors
    /// [`Error::NoQueue`] when it was deleted meanwhile.
    pub fn pause_queue(&self, queue: &Arc<Queue>) -> Result<Lsn, Error> {
        let mut topology = self.topology.lock();
        self.check_not_deleted(queue)?;
        if queue.is_paused() {
            return Ok(topology.lsn_if(queue.durable));
        }
        queue.pause();
        if !queue.durable {
            return Ok(Lsn::default());
        }
        let value = json!({ ID: queue.id.0 }).to_string();
        Ok(self.write(&mut topology, &Record::Setting { key: self.pause_key(queue), value: value.as_bytes() }))
    }

    /// Delivers from a queue again. Says when it is durable that it is not paused.
    ///
    /// # Errors
    /// [`Error::NoQueue`] when it was deleted meanwhile.
    pub fn resume_queue(&self, queue: &Arc<Queue>) -> Result<Lsn, Error> {
        let mut effects = Effects::default();
        let mut topology = self.topology.lock();
        self.check_not_deleted(queue)?;
        if !queue.is_paused() {
            return Ok(topology.lsn_if(queue.durable));
        }
        let lsn = self.forget_pause(&mut topology, queue);
        queue.unpause_with(&mut effects);
        drop(topology);
        effects.carry_out();
        Ok(lsn)
    }

    /// A queue is resumed or gone: nothing says any more that it is paused.
    pub(super) fn forget_pause(&self, topology: &mut Bindings, queue: &Queue) -> Lsn {
        if queue.durable && queue.is_paused() {
            self.write(topology, &Record::SettingCleared { key: self.pause_key(queue) })
        } else {
            Lsn::default()
        }
    }

    fn pause_key<'a>(&'a self, queue: &'a Queue) -> SettingKey<'a> {
        SettingKey { kind: SettingKind::PausedQueue, scope: &self.name, name: &queue.name }
    }

    fn check_not_deleted(&self, queue: &Queue) -> Result<(), Error> {
        if queue.is_deleted() {
            return Err(Error::NoQueue { queue: queue.name.to_string(), vhost: self.name.clone() });
        }
        Ok(())
    }
}

/// The queue that a setting says is paused.
pub(crate) fn paused_queue(value: &[u8]) -> Result<QueueId, String> {
    let value: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    value.get(ID).and_then(Value::as_u64).map(QueueId).ok_or_else(|| "it has no id".to_owned())
}
