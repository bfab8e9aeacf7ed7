//! Alarms: what publishers have to wait for, because the broker is short of it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use leveret_engine::journal::Waiter;
use parking_lot::Mutex;

/// What the broker can be short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Memory.
    Memory,
    /// Room on the disk.
    Disk,
}

impl Alarm {
    fn bit(self) -> u8 {
        match self {
            Self::Memory => 1,
            Self::Disk => 2,
        }
    }
}

/// The alarms of a broker, shared by all its connections.
#[derive(Default)]
pub struct Alarms {
    raised: AtomicU8,
    /// Connections that are blocked. They may be gone by now.
    blocked: Mutex<Vec<Weak<dyn Waiter>>>,
}

/// Fewer waiters are never swept for those that are gone.
const SWEEP_MIN: usize = 64;

impl std::fmt::Debug for Alarms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarms").field("raised", &self.raised).finish_non_exhaustive()
    }
}

impl Alarms {
    /// Raises an alarm or clears it. Says whether that is a change. When the last is cleared, those who are blocked go on.
    pub fn set(&self, alarm: Alarm, raised: bool) -> bool {
        let before = match raised {
            true => self.raised.fetch_or(alarm.bit(), Ordering::SeqCst),
            false => self.raised.fetch_and(!alarm.bit(), Ordering::SeqCst),
        };
        if !raised && before == alarm.bit() {
            let blocked = std::mem::take(&mut *self.blocked.lock());
            blocked.iter().filter_map(Weak::upgrade).for_each(|waiter| waiter.wake());
        }
        raised != (before & alarm.bit() != 0)
    }

    /// Whether this one is raised.
    #[must_use]
    pub fn is_set(&self, alarm: Alarm) -> bool {
        self.raised.load(Ordering::SeqCst) & alarm.bit() != 0
    }

    /// Whether any is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst) != 0
    }

    /// What connection.blocked says (behaviour: RabbitMQ's texts); none when none is raised.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self.raised.load(Ordering::SeqCst) {
            0 => None,
            1 => Some("low on memory"),
            2 => Some("low on disk"),
            _ => Some("low on memory & disk"),
        }
    }

    /// Wakes `waiter` once, when no alarm is raised; at once if none is.
    pub fn when_clear(&self, waiter: &Arc<dyn Waiter>) {
        let mut blocked = self.blocked.lock();
        if blocked.len() >= SWEEP_MIN && blocked.len() == blocked.capacity() {
            blocked.retain(|waiter| waiter.strong_count() > 0);
        }
        blocked.push(Arc::downgrade(waiter));
        drop(blocked);
        // It may have been cleared before the waiter was in the list.
        if !self.is_raised() {
            waiter.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Waiter for Woken {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakes_when_the_last_alarm_is_cleared() {
        let alarms = Alarms::default();
        assert!(alarms.set(Alarm::Disk, true) && !alarms.set(Alarm::Disk, true));
        assert_eq!(alarms.reason(), Some("low on disk"));
        assert!(alarms.set(Alarm::Memory, true));
        assert_eq!(alarms.reason(), Some("low on memory & disk"));
        let woken = Arc::new(Woken::default());
        let waiter: Arc<dyn Waiter> = Arc::<Woken>::clone(&woken);
        alarms.when_clear(&waiter);
        assert!(alarms.set(Alarm::Disk, false));
        assert_eq!((woken.0.load(Ordering::SeqCst), alarms.reason()), (0, Some("low on memory")));
        assert!(alarms.set(Alarm::Memory, false) && !alarms.set(Alarm::Memory, false));
        assert_eq!((woken.0.load(Ordering::SeqCst), alarms.reason()), (1, None));
        alarms.when_clear(&waiter);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let alarms = Alarms::default();
        alarms.set(Alarm::Disk, true);
        for _ in 0..10_000 {
            let waiter: Arc<dyn Waiter> = Arc::new(Woken::default());
            alarms.when_clear(&waiter);
        }
        assert!(alarms.blocked.lock().len() <= 2 * SWEEP_MIN);
    }
}
