//! rabbitmq_http_client decodes whatever the broker's HTTP API answers into types of its own: one number in the place of
//! a text would make it fail.

mod objects;
mod people;
mod watching;

use std::env;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use rabbitmq_http_client::blocking_api::Client;

pub type Api = Client<String, String, String>;
type Work = fn(&Api) -> anyhow::Result<()>;

/// RabbitMQ takes up to five seconds to know what its statistics say.
const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// What RabbitMQ 3.10 answers in a shape that this client does not decode any more, or not at all.
const NOT_ON_PEER: [(&str, &str); 2] =
    [("overview", "it does not decode RabbitMQ 3.10's nodes"), ("connections", "it does not decode them")];

fn main() -> anyhow::Result<()> {
    let (endpoint, user, password) = endpoint(&env::var("MANAGEMENT_URL")?)?;
    let api = Client::new(endpoint, user, password);
    println!("client rabbitmq_http_client {}", env::var("CLIENT_VERSION")?);
    let capabilities: [(&str, Work); 9] = [
        ("overview", watching::overview),
        ("objects", objects::objects),
        ("users", people::users),
        ("policies", people::policies),
        ("messages", objects::messages),
        ("connections", watching::connections),
        ("definitions", objects::definitions),
        ("health", watching::health),
        ("errors", people::errors),
    ];
    let mut failed = false;
    for (name, work) in capabilities {
        if let Some((_, why)) = NOT_ON_PEER.iter().find(|(skipped, _)| on_peer() && *skipped == name) {
            println!("skip {name}: {why}");
            continue;
        }
        match work(&api) {
            Ok(()) => println!("ok {name}"),
            Err(error) => {
                failed = true;
                let why = format!("{error:#}");
                println!("not ok {name}: {}", why.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    std::process::exit(i32::from(failed));
}

/// True on RabbitMQ 3.10, which lacks some of what is asked.
pub fn on_peer() -> bool {
    env::var("LEVERET_PEER").is_ok_and(|peer| peer == "rabbitmq")
}

/// The address of the API, and who logs in.
fn endpoint(url: &str) -> anyhow::Result<(String, String, String)> {
    let rest = url.strip_prefix("http://").context("MANAGEMENT_URL does not start with http://")?;
    let (login, host) = rest.split_once('@').context("MANAGEMENT_URL has no user")?;
    let (user, password) = login.split_once(':').context("MANAGEMENT_URL has no password")?;
    Ok((format!("http://{host}/api"), user.to_owned(), password.to_owned()))
}

/// A name that nobody else uses.
pub fn unique(label: &str) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("interop.{label}.{:x}", since.as_nanos())
}

/// Waits until something is there.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        ensure!(start.elapsed() < WAIT_MAX, "not within {WAIT_MAX:?}: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
