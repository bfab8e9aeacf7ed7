//! Queues that are paused: they take messages and deliver none. All their consumers are out of their rings, so that whoever
//! delivers finds nobody whose turn it could be, and has nothing else to ask.

use std::sync::Arc;

use crate::effects::Effects;
use crate::queue::Queue;
use crate::queue::consumers::Consumers;

impl Queue {
    /// Delivers nothing from now on, until [`Queue::unpause`]. What was delivered can be settled, and gets find nothing.
    pub fn pause(&self) {
        match &self.stream {
            Some(stream) => stream.pause(),
            None => self.core.lock().consumers.pause(),
        }
    }

    /// Delivers again.
    pub fn unpause(self: &Arc<Self>) {
        let mut effects = Effects::default();
        self.unpause_with(&mut effects);
        effects.carry_out();
    }

    /// Delivers again. The caller carries `effects` out.
    pub(crate) fn unpause_with(self: &Arc<Self>, effects: &mut Effects) {
        match &self.stream {
            Some(stream) => stream.unpause(self, effects),
            None => {
                self.core.lock().consumers.unpause();
                self.deliver(effects);
            }
        }
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_paused(),
            None => self.core.lock().consumers.paused,
        }
    }
}

impl Consumers {
    fn pause(&mut self) {
        self.paused = true;
        self.empty_rings();
    }

    fn unpause(&mut self) {
        self.paused = false;
        for key in self.started() {
            self.resume(key);
        }
    }
}
