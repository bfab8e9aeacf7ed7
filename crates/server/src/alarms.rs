//! What raises alarms, and tells of them.

use std::sync::Arc;

use leveret_engine::services::Services;
use leveret_session::alarms::{Alarm, Alarms};

use crate::readings::{Memory, Readings};

/// Watches the room on the disk.
pub(crate) struct DiskWatch {
    alarms: Arc<Alarms>,
    is_low: Box<dyn Fn() -> bool + Send + Sync>,
    /// Who tells of changes.
    services: Option<Arc<Services>>,
}

impl std::fmt::Debug for DiskWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskWatch").finish_non_exhaustive()
    }
}

impl DiskWatch {
    /// Raises the alarm among `alarms` while `is_low`, which must not block.
    pub(crate) fn new(alarms: &Arc<Alarms>, is_low: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { alarms: Arc::clone(alarms), is_low: Box::new(is_low), services: None }
    }

    /// Changes are told as events, too.
    pub(crate) fn telling(mut self, services: &Arc<Services>) -> Self {
        self.services = Some(Arc::clone(services));
        self
    }

    /// Looks once, and logs a change. Says whether the alarm was raised by it.
    pub(crate) fn look(&self) -> bool {
        let is_low = (self.is_low)();
        if !self.alarms.set(Alarm::Disk, is_low) {
            return false;
        }
        if let Some(services) = &self.services {
            tell(services, "disk", is_low);
        }
        if is_low {
            tracing::warn!(
                "low on disk: publishers are blocked until there is room again. Make some on the file system of the data \
                 directory, or consume: consumers and acknowledgements go on"
            );
        } else {
            tracing::info!("the disk has room again: publishers go on");
        }
        is_low
    }
}

/// Watches the memory of the process.
pub(crate) struct MemoryWatch {
    alarms: Arc<Alarms>,
    readings: Arc<Readings>,
    services: Arc<Services>,
}

impl std::fmt::Debug for MemoryWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryWatch").finish_non_exhaustive()
    }
}

impl MemoryWatch {
    /// Raises the alarm among `alarms` by what `readings` measure.
    pub(crate) fn new(alarms: &Arc<Alarms>, readings: &Arc<Readings>, services: &Arc<Services>) -> Self {
        Self { alarms: Arc::clone(alarms), readings: Arc::clone(readings), services: Arc::clone(services) }
    }

    /// Looks once, and logs a change. Says whether the alarm was raised by it.
    pub(crate) fn look(&self) -> bool {
        let is_short = self.readings.is_memory_short(self.alarms.is_set(Alarm::Memory));
        if !self.alarms.set(Alarm::Memory, is_short) {
            return false;
        }
        tell(&self.services, "memory", is_short);
        let Memory { used_bytes, limit_bytes, .. } = self.readings.memory();
        if is_short {
            tracing::warn!(
                "memory resource limit alarm set on node {}: {used_bytes} bytes are used, {limit_bytes} are allowed. \
                 Publishers are blocked until this alarm clears; consumers and acknowledgements go on",
                self.services.notices.node()
            );
        } else {
            tracing::warn!(
                "memory resource limit alarm cleared on node {}: {used_bytes} bytes are used, {limit_bytes} are allowed",
                self.services.notices.node()
            );
        }
        is_short
    }
}

/// Tells of an alarm that was raised or cleared.
fn tell(services: &Services, source: &str, is_raised: bool) {
    let name = if is_raised { "alarm.set" } else { "alarm.cleared" };
    services.event(name, |fields| fields.text("source", source).text("node", services.notices.node()));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use leveret_codec::table::FieldTable;
    use leveret_engine::broker::Broker;
    use leveret_engine::effects::Effects;
    use leveret_engine::journal::MemoryJournal;
    use leveret_engine::names::ConnectionId;
    use leveret_engine::queue::Got;
    use leveret_engine::vhost::{BindingKey, QueueDeclare};

    use super::*;

    #[test]
    fn the_alarm_follows_the_disk() {
        let alarms = Arc::new(Alarms::default());
        let low = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&low);
        let watch = DiskWatch::new(&alarms, move || watched.load(Ordering::Relaxed));
        for is_low in [false, true, true, false] {
            low.store(is_low, Ordering::Relaxed);
            let before = alarms.is_raised();
            assert_eq!(watch.look(), is_low && !before);
            assert_eq!(alarms.reason(), is_low.then_some("low on disk"));
        }
    }

    #[test]
    fn changes_are_told_as_events() {
        let broker = Broker::new(Arc::<MemoryJournal>::default());
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        let (arguments, connection, mut effects) = (FieldTable::default(), ConnectionId(1), Effects::default());
        let declare = QueueDeclare {
            name: "ear",
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: &arguments,
            random: [0; 16],
        };
        let ear = vhost.declare_queue(&declare, &guest, connection).unwrap().0;
        let (source, routing_key, user) = ("amq.rabbitmq.event", &b"alarm.*"[..], "guest");
        let key = BindingKey { source, routing_key, arguments: &arguments, user };
        vhost.bind_queue(&key, "ear", connection, &mut effects).unwrap();
        let low = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&low);
        let watch = DiskWatch::new(&Arc::default(), move || watched.load(Ordering::Relaxed)).telling(&broker.services);
        for is_low in [false, true, true, false, false] {
            low.store(is_low, Ordering::Relaxed);
            watch.look();
        }
        broker.services.notices.publish(&mut effects);
        let told = std::iter::from_fn(|| match ear.get(true) {
            Got::Message { entry, .. } => Some(String::from_utf8_lossy(entry.message.parts().routing_key).into_owned()),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), ["alarm.set", "alarm.cleared"]);
    }
}
