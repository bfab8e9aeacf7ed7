//! One structure for all that is due at some time: expiry of messages and queues, delays, retries.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::effects::Effects;
use crate::journal::Waiter;
use crate::limits::TIMERS_A_HOLD_MAX;

/// Something that has work to do at a time.
pub trait Timed: Send + Sync {
    /// Its time has come: it is not armed any more. Called without locks; what follows goes into `effects`, which the caller
    /// carries out.
    fn due(self: Arc<Self>, now_ms: u64, effects: &mut Effects);
}

/// Who is due when. A leaf in the order of locks: it may be armed with any lock held.
#[derive(Default)]
pub struct Timers {
    armed: Mutex<Armed>,
    /// When the first is due; `u64::MAX` for never.
    next_ms: AtomicU64,
}

#[derive(Default)]
struct Armed {
    /// By time and by the number of whoever is due then.
    by_time: BTreeMap<(u64, u64), Weak<dyn Timed>>,
    /// Sleeps until the first is due.
    sleeper: Option<Arc<dyn Waiter>>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("next_ms", &self.next_ms).finish_non_exhaustive()
    }
}

impl Timers {
    /// Nothing is due.
    #[must_use]
    pub fn new() -> Self {
        Self { armed: Mutex::default(), next_ms: AtomicU64::new(u64::MAX) }
    }

    /// Whoever has number `id`, and was due at `before_ms`, is due at `due_ms` now. Each id has at most one time; none is never.
    pub fn arm(&self, id: u64, before_ms: Option<u64>, due_ms: Option<u64>, timed: impl FnOnce() -> Weak<dyn Timed>) {
        if before_ms == due_ms {
            return;
        }
        let mut armed = self.armed.lock();
        if let Some(before_ms) = before_ms {
            armed.by_time.remove(&(before_ms, id));
        }
        if let Some(due_ms) = due_ms {
            armed.by_time.insert((due_ms, id), timed());
        }
        let is_earlier = self.tell_next(&armed);
        let sleeper = if is_earlier { armed.sleeper.take() } else { None };
        drop(armed);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Says whether the first time is earlier than before.
    fn tell_next(&self, armed: &Armed) -> bool {
        let next_ms = armed.by_time.first_key_value().map_or(u64::MAX, |((due_ms, _), _)| *due_ms);
        self.next_ms.swap(next_ms, Ordering::SeqCst) > next_ms
    }

    /// When the first is due, if anybody is.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        Some(self.next_ms.load(Ordering::SeqCst)).filter(|next_ms| *next_ms != u64::MAX)
    }

    /// Wakes `sleeper` once, when somebody becomes due before `known_ms`; at once if that is so already.
    pub fn when_earlier(&self, known_ms: Option<u64>, sleeper: Arc<dyn Waiter>) {
        let mut armed = self.armed.lock();
        let next_ms = self.next_ms.load(Ordering::SeqCst);
        if next_ms < known_ms.unwrap_or(u64::MAX) {
            drop(armed);
            sleeper.wake();
        } else {
            armed.sleeper = Some(sleeper);
        }
    }

    /// Lets a number of those work whose time has come; true when there are more.
    pub fn run(&self, now_ms: u64, effects: &mut Effects) -> bool {
        let mut due = Vec::new();
        let mut armed = self.armed.lock();
        while due.len() < TIMERS_A_HOLD_MAX {
            let Some(first) = armed.by_time.first_entry().filter(|first| first.key().0 <= now_ms) else { break };
            due.push(first.remove());
        }
        self.tell_next(&armed);
        drop(armed);
        for timed in due.iter().filter_map(Weak::upgrade) {
            timed.due(now_ms, effects);
            effects.carry_out();
        }
        due.len() == TIMERS_A_HOLD_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Bell(Mutex<Vec<u64>>);

    impl Timed for Bell {
        fn due(self: Arc<Self>, now_ms: u64, _effects: &mut Effects) {
            self.0.lock().push(now_ms);
        }
    }

    #[derive(Default)]
    struct Sleeper(AtomicU64);

    impl Waiter for Sleeper {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_is_due_once_at_its_last_time() {
        let timers = Timers::new();
        let bell = Arc::<Bell>::default();
        let weak = || Arc::downgrade(&bell) as Weak<dyn Timed>;
        timers.arm(1, None, Some(50), weak);
        timers.arm(1, Some(50), Some(20), weak);
        timers.arm(2, None, Some(30), weak);
        timers.arm(3, None, Some(25), weak);
        timers.arm(3, Some(25), None, weak);
        assert_eq!(timers.next_due_ms(), Some(20));
        let mut effects = Effects::default();
        for now_ms in [19, 20, 29, 31, 60] {
            timers.run(now_ms, &mut effects);
        }
        assert_eq!((&*bell.0.lock(), timers.next_due_ms()), (&vec![20, 31], None));
    }

    #[test]
    fn the_sleeper_wakes_for_what_is_earlier_only() {
        let timers = Timers::new();
        let (bell, sleeper) = (Arc::<Bell>::default(), Arc::<Sleeper>::default());
        let weak = || Arc::downgrade(&bell) as Weak<dyn Timed>;
        timers.arm(1, None, Some(50), weak);
        timers.when_earlier(Some(50), Arc::<Sleeper>::clone(&sleeper));
        timers.arm(2, None, Some(60), weak);
        assert_eq!(sleeper.0.load(Ordering::SeqCst), 0);
        timers.arm(3, None, Some(40), weak);
        assert_eq!(sleeper.0.load(Ordering::SeqCst), 1);
        timers.when_earlier(Some(50), Arc::<Sleeper>::clone(&sleeper));
        assert_eq!(sleeper.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn who_is_gone_is_passed_over() {
        let timers = Timers::new();
        let bell = Arc::<Bell>::default();
        timers.arm(1, None, Some(5), || Arc::downgrade(&bell) as Weak<dyn Timed>);
        drop(bell);
        assert!(!timers.run(9, &mut Effects::default()));
        assert_eq!(timers.next_due_ms(), None);
    }
}
