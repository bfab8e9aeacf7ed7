//! One clock for all connections.

use std::sync::Arc;
use std::time::Duration;

use leveret_engine::names::ConnectionId;
use leveret_engine::registry::Registry;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connected, Signal};
use crate::readings::Readings;
use crate::server::Shared;

/// How often heartbeats and alarms are looked after.
const TICK: Duration = Duration::from_millis(250);

/// How often memory and disk are measured.
const MEASURED_EVERY: Duration = Duration::from_secs(1);

/// Connections by number.
pub(crate) type Connections = Registry<Connected, ConnectionId>;

/// Milliseconds since a moment in the past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// What has passed since.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ticks until the token is cancelled.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let is_raised = shared.look_at_alarms();
        let (now_ms, policies) = (shared.clock.now_ms(), shared.broker.services.policies_changed());
        for connection in shared.connections.all() {
            if is_raised {
                connection.tell(Signal::Alarm);
            }
            connection.tick(now_ms, policies);
        }
    }
}

/// Measures memory and disk until the token is cancelled.
pub(crate) async fn measure(readings: Arc<Readings>, stop: CancellationToken) {
    let mut ticks = interval(MEASURED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let readings = Arc::clone(&readings);
        // A disk may take its time to answer.
        let _ = tokio::task::spawn_blocking(move || readings.measure()).await;
    }
}
