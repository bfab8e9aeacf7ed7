//! Which publishes the broker has confirmed.

use std::collections::BTreeSet;

/// Counts confirmed publishes of one channel, whatever order and form the confirms come in.
#[derive(Debug, Default)]
pub struct Confirms {
    /// Every publish up to this sequence number is confirmed.
    all_up_to: u64,
    /// Those confirmed ahead of an older one.
    ahead: BTreeSet<u64>,
}

impl Confirms {
    /// Takes one `basic.ack`.
    pub fn confirm(&mut self, tag: u64, multiple: bool) {
        if tag <= self.all_up_to {
            return;
        }
        if multiple {
            self.all_up_to = tag;
            self.ahead = self.ahead.split_off(&(tag + 1));
        } else if tag == self.all_up_to + 1 {
            self.all_up_to = tag;
        } else {
            self.ahead.insert(tag);
        }
        while self.ahead.remove(&(self.all_up_to + 1)) {
            self.all_up_to += 1;
        }
    }

    /// How many publishes are confirmed.
    pub fn count(&self) -> u64 {
        self.all_up_to + self.ahead.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirms_are_counted_once_in_any_order() {
        let mut confirms = Confirms::default();
        let acks = [(1, false), (3, false), (5, false), (2, false), (2, false)];
        let counts = acks.map(|(tag, multiple)| {
            confirms.confirm(tag, multiple);
            confirms.count()
        });
        assert_eq!(counts, [1, 2, 3, 4, 4]);
        confirms.confirm(4, true);
        assert_eq!(confirms.count(), 5);
        confirms.confirm(9, false);
        confirms.confirm(8, true);
        assert_eq!(confirms.count(), 9);
        confirms.confirm(6, true);
        assert_eq!(confirms.count(), 9);
    }
}
