//! How often somebody tried to log in over HTTP, and from where.

use std::collections::BTreeMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::limits::NAME_BYTES_MAX;

/// Most pairs of address and user that are told apart.
const SOURCES_MAX: usize = 1024;

/// Counts of logins.
#[derive(Debug, Default)]
pub struct Attempts {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// What was counted of AMQP when it was begun anew: its counter only rises.
    amqp_before: AttemptsOf,
    all: AttemptsOf,
    by_source: BTreeMap<(IpAddr, String), AttemptsOf>,
}

/// Counts of somebody's logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptsOf {
    /// That were let in.
    pub succeeded: u64,
    /// That were not.
    pub failed: u64,
}

impl AttemptsOf {
    fn count(&mut self, is_success: bool) {
        if is_success {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
    }
}

impl Attempts {
    /// Counts one.
    pub fn count(&self, from: IpAddr, user: &str, is_success: bool) {
        let mut counts = self.counts.lock();
        counts.all.count(is_success);
        // Whoever tries many names, or long ones, does not fill our memory.
        if user.len() > NAME_BYTES_MAX {
            return;
        }
        let source = (from.to_canonical(), user.to_owned());
        if counts.by_source.len() < SOURCES_MAX || counts.by_source.contains_key(&source) {
            counts.by_source.entry(source).or_default().count(is_success);
        }
    }

    /// All there were.
    #[must_use]
    pub fn all(&self) -> AttemptsOf {
        self.counts.lock().all
    }

    /// By address and user.
    #[must_use]
    pub fn by_source(&self) -> Vec<(IpAddr, String, AttemptsOf)> {
        let counts = self.counts.lock();
        counts.by_source.iter().map(|((from, user), attempts)| (*from, user.clone(), *attempts)).collect()
    }

    /// Those of AMQP since the last reset, of so many in all.
    #[must_use]
    pub fn of_amqp(&self, in_all: AttemptsOf) -> AttemptsOf {
        let before = self.counts.lock().amqp_before;
        AttemptsOf {
            succeeded: in_all.succeeded.saturating_sub(before.succeeded),
            failed: in_all.failed.saturating_sub(before.failed),
        }
    }

    /// Begins to count again; there were so many of AMQP's.
    pub fn reset(&self, of_amqp: AttemptsOf) {
        *self.counts.lock() = Counts { amqp_before: of_amqp, ..Counts::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_source_and_in_all() {
        let attempts = Attempts::default();
        let here = IpAddr::from([127, 0, 0, 1]);
        attempts.count(here, "a", true);
        attempts.count("::ffff:127.0.0.1".parse().unwrap(), "a", false);
        attempts.count(here, "b", false);
        assert_eq!(attempts.all(), AttemptsOf { succeeded: 1, failed: 2 });
        let sources = attempts.by_source();
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0], (here, "a".to_owned(), AttemptsOf { succeeded: 1, failed: 1 }));
        let of_amqp = AttemptsOf { succeeded: 5, failed: 1 };
        assert_eq!(attempts.of_amqp(of_amqp), of_amqp);
        attempts.reset(of_amqp);
        assert_eq!((attempts.all(), attempts.by_source()), (AttemptsOf::default(), Vec::new()));
        assert_eq!(attempts.of_amqp(AttemptsOf { succeeded: 7, failed: 1 }), AttemptsOf { succeeded: 2, failed: 0 });
    }

    #[test]
    fn many_sources_do_not_fill_memory() {
        let attempts = Attempts::default();
        for user in 0..2 * SOURCES_MAX {
            attempts.count(IpAddr::from([10, 0, 0, 1]), &user.to_string(), false);
        }
        assert_eq!(attempts.by_source().len(), SOURCES_MAX);
        assert_eq!(attempts.all().failed, 2 * SOURCES_MAX as u64);
        let attempts = Attempts::default();
        attempts.count(IpAddr::from([10, 0, 0, 1]), &"x".repeat(NAME_BYTES_MAX + 1), false);
        assert_eq!((attempts.all().failed, attempts.by_source()), (1, Vec::new()));
    }
}
