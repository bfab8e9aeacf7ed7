//! Waiting for the journal on a thread that may wait.

use std::sync::Arc;

use leveret_server::engine::journal::{Journal, Lsn, Waiter};
use parking_lot::{Condvar, Mutex};

/// Waits until everything up to `lsn` survives.
pub(crate) fn wait(journal: &dyn Journal, lsn: Lsn) {
    if journal.durable() >= lsn {
        return;
    }
    let bell = Arc::new(Bell::default());
    journal.when_durable(lsn, Arc::<Bell>::clone(&bell));
    let mut rung = bell.rung.lock();
    while !*rung {
        bell.rings.wait(&mut rung);
    }
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Waiter for Bell {
    fn wake(&self) {
        *self.rung.lock() = true;
        self.rings.notify_all();
    }
}
