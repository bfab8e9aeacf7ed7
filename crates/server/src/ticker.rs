//! One clock for all connections.

use std::sync::Arc;
use std::time::Duration;

use leveret_engine::names::ConnectionId;
use leveret_engine::registry::Registry;
use leveret_engine::services::Services;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::alarms::DiskWatch;
use crate::connection::{Connected, Signal};

/// How often heartbeats and alarms are looked after.
const TICK: Duration = Duration::from_millis(250);

/// Connections by number.
pub(crate) type Connections = Registry<Connected, ConnectionId>;

/// Milliseconds since a moment in the past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ticks until the token is cancelled.
pub(crate) async fn run(
    connections: Arc<Connections>,
    services: Arc<Services>,
    clock: Clock,
    disk: DiskWatch,
    stop: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let is_raised = disk.look();
        let (now_ms, policies) = (clock.now_ms(), services.policies_changed());
        for connection in connections.all() {
            if is_raised {
                connection.tell(Signal::Alarm);
            }
            connection.tick(now_ms, policies);
        }
    }
}
