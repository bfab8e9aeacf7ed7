//! What is said as the broker starts and ends: scripts and test containers wait for some of it.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use leveret_config::settings::Settings;
use leveret_management::Management;
use leveret_server::Server;
use leveret_server::node::ListenerFacts;

use super::host;
use crate::logging::Logging;

/// The text that somebody wants to see in the log.
pub(super) fn message_of_the_day(settings: &Settings) {
    let Some(path) = &settings.node.motd_file else { return };
    match std::fs::read_to_string(path) {
        Ok(text) => tracing::info!("{}", text.trim_end()),
        Err(error) => tracing::warn!("cannot read the message of the day {}: {error}", path.display()),
    }
}

/// Where the first user and virtual host come from.
pub(super) fn seeding(settings: &Settings, server: &Server, has_definitions: bool) {
    let (broker, seed) = (server.broker(), &settings.seed);
    if !broker.is_fresh() {
        if seed.is_user_explicit && broker.user(&seed.user).is_none() {
            tracing::warn!(
                "the default user {} is not made: users are made when a data directory is new, and this one is not. Add it with \
                 `rabbitmqctl add_user`, or begin with an empty directory",
                seed.user
            );
        }
    } else if !has_definitions {
        tracing::info!("Will seed default virtual host and user...");
    } else if seed.is_user_explicit {
        tracing::info!("Will seed default user {} beside the definitions, as the environment asks for it", seed.user);
    } else {
        tracing::info!("Will not seed default virtual host and user: have definitions to load...");
    }
}

/// Says on stdout that all is up.
pub(super) fn startup(settings: &Settings, server: &Server, management: &Management, logging: &Logging) {
    tracing::info!("Leveret {} speaks AMQP 0-9-1 on {}", env!("CARGO_PKG_VERSION"), spoken(server.addresses()));
    for (what, addresses) in [("the HTTP API", &management.addresses), ("metrics", &management.prometheus)] {
        if !addresses.is_empty() {
            tracing::info!("{what} on {}", spoken(addresses));
        }
    }
    if settings.store.ephemeral {
        tracing::info!("nothing is kept on disk: a restart forgets all");
    }
    let mut out = io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(out, "listening on {}", server.address());
    for (what, addresses) in [("management", &management.addresses), ("prometheus", &management.prometheus)] {
        for address in addresses {
            let _ = writeln!(out, "{what} listening on {address}");
        }
    }
    let complete = format!("Server startup complete; {} plugins started.", host::plugins(settings).len());
    let _ = writeln!(out, "{complete}");
    let _ = out.flush();
    // Some look for it in the log's file; on stdout they would count it twice.
    if logging.goes_to_a_file_alone() {
        tracing::info!("{complete}");
    }
}

fn spoken(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

/// Says that nobody listens any more.
pub(super) fn stopped(listeners: &[ListenerFacts]) {
    for listener in listeners {
        let kind = match listener.protocol {
            "amqp" => "TCP",
            "amqp/ssl" => "TLS (SSL)",
            _ => continue,
        };
        tracing::info!("stopped {kind} listener on {}", SocketAddr::new(listener.ip, listener.port));
    }
}
