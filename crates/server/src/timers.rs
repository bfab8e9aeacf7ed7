//! Lets what is due in the engine work at its time.

use std::sync::Arc;
use std::time::Duration;

use leveret_engine::effects::Effects;
use leveret_engine::journal::Waiter;
use leveret_engine::services::Services;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;
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
        while run_due(&services) {
            yield_now().await;
        }
        let next_ms = services.timers.next_due_ms();
        services.timers.when_earlier(next_ms, Arc::<Bell>::clone(&bell));
        tokio::select! {
            () = stop.cancelled() => return,
            () = bell.0.notified() => {}
            () = until(&services, next_ms) => {}
        }
    }
}

/// Lets some of what is due work; true when there is more.
fn run_due(services: &Services) -> bool {
    services.timers.run(services.clock.now_ms(), &mut Effects::default())
}

async fn until(services: &Services, due_ms: Option<u64>) {
    match due_ms {
        Some(due_ms) => sleep(Duration::from_millis(due_ms.saturating_sub(services.clock.now_ms()))).await,
        None => std::future::pending().await,
    }
}
