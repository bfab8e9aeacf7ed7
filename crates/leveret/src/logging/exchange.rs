//! The exchange that lines of the log are published to, once there is a broker.

use std::sync::{Arc, OnceLock, Weak};

use leveret_config::settings::{LogFormat, LogStyle};
use leveret_server::engine::broker::Broker;
use leveret_server::engine::effects::Effects;
use leveret_server::engine::log::{EXCHANGE, LogLine};

use super::format::{Lines, word};
use super::outside::{Carrier, Entry, Outside};

/// Where lines are published. What is logged before there is such a place is not, as with RabbitMQ.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<OnceLock<Home>>);

#[derive(Debug)]
struct Home {
    broker: Weak<Broker>,
    vhost: String,
}

impl Place {
    /// Publishes to the exchange of this virtual host from now on.
    pub(super) fn found(&self, broker: &Arc<Broker>, vhost: &str) {
        if let Some(vhost) = broker.vhost(vhost) {
            vhost.declare_log_exchange();
        }
        let _ = self.0.set(Home { broker: Arc::downgrade(broker), vhost: vhost.to_owned() });
        tracing::info!("Logging to exchange '{EXCHANGE}' in vhost '{vhost}' ready");
    }

    /// Publishes a line. Without a place there is nothing to be done, and nothing is missed.
    fn publish(&self, entry: &Entry, format: LogFormat) -> bool {
        let Some(home) = self.0.get() else { return true };
        let Some(vhost) = home.broker.upgrade().and_then(|broker| broker.vhost(&home.vhost)) else { return true };
        let line = LogLine {
            level: word(&entry.level),
            at_s: entry.at.seconds(),
            content_type: if format == LogFormat::Json { "application/json" } else { "text/plain" },
            text: &entry.text,
        };
        let mut effects = Effects::default();
        vhost.publish_log_line(&line, &mut effects);
        effects.carry_out();
        true
    }
}

/// Publishes what is logged, as lines of this format.
pub(super) fn layer(place: &Place, format: LogFormat) -> std::io::Result<(Outside, Carrier)> {
    let home = place.clone();
    let carrier = Carrier::start("log-exchange", move |entry| home.publish(entry, format))?;
    let lines = Lines { style: LogStyle::Rabbit, format };
    Ok((Outside::new(carrier.clone(), move |told, now, about| lines.line(told, now, about)), carrier))
}
