//! Publishes what the broker has to say about itself, where no connection is there to do it.

use std::sync::Arc;

use leveret_engine::effects::Effects;
use leveret_engine::journal::Waiter;
use leveret_engine::services::Services;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Wakes the task.
#[derive(Debug, Default)]
struct Bell(Notify);

impl Waiter for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// Runs until the token is cancelled.
pub(crate) async fn run(services: Arc<Services>, stop: CancellationToken) {
    let bell = Arc::<Bell>::default();
    loop {
        services.notices.when_some(Arc::<Bell>::clone(&bell));
        tokio::select! {
            () = stop.cancelled() => return,
            () = bell.0.notified() => services.notices.publish(&mut Effects::default()),
        }
    }
}
