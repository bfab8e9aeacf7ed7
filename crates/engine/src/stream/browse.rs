//! What those who administer do with a stream: look at its messages, pause it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::effects::Effects;
use crate::journal::Loaded;
use crate::queue::Queue;
use crate::stream::Stream;

impl Stream {
    /// The first messages from position `from` on, as far as they are in memory and nowhere else; up to which position they tell
    /// all; and the last position that there is.
    pub(crate) fn browse(&self, from: u64, max: usize) -> (Vec<Loaded>, u64, u64) {
        self.log.lock().browse(from, max)
    }

    /// Delivers nothing from now on.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
    }

    /// Whether nothing is delivered.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Delivers again.
    pub(crate) fn unpause(&self, queue: &Arc<Queue>, effects: &mut Effects) {
        self.paused.store(false, Ordering::SeqCst);
        let awake = self.log.lock().advance(self.services.journal.durable());
        self.go_on(awake, effects);
        let readers: Vec<_> = self.readers.read().slots.iter().map(|(_, reader)| Arc::clone(reader)).collect();
        for reader in readers {
            self.pump(queue, &reader, effects);
        }
    }
}
