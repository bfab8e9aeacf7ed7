//! Those who are compared: started, stopped, and asked for their address.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use super::figures::{LEVERET, RABBITMQ, RELAY};
use super::machine::pid_of_port;
use crate::bench::generator::Target;
use crate::bench::server::Server;
use crate::peer::{self, Peer};

/// One of those who take turns.
pub struct Candidate {
    pub key: String,
    kind: Kind,
    running: Option<Running>,
}

enum Kind {
    /// Ours, with everything as it is by default, on a data directory.
    Leveret {
        binary: PathBuf,
        dir: PathBuf,
    },
    Relay {
        generator: PathBuf,
    },
    /// Debian's, with its files below this folder.
    RabbitMq {
        target: PathBuf,
    },
    /// A broker that runs already and is not ours to stop.
    Named {
        port: u16,
    },
}

enum Running {
    Server(Server),
    Peer(Peer),
}

/// `NAME=PORT`: a broker on loopback that runs already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPeer {
    name: String,
    port: u16,
}

impl std::str::FromStr for NamedPeer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, port) = text.split_once('=').context("not NAME=PORT")?;
        ensure!(!name.is_empty() && ![LEVERET, RELAY, RABBITMQ].contains(&name), "the name {name:?} is taken");
        Ok(Self { name: name.to_owned(), port: port.parse().context("not a port")? })
    }
}

impl Candidate {
    pub fn leveret(binary: PathBuf, dir: PathBuf) -> Self {
        Self::new(LEVERET, Kind::Leveret { binary, dir })
    }

    pub fn relay(generator: PathBuf) -> Self {
        Self::new(RELAY, Kind::Relay { generator })
    }

    /// RabbitMQ, if there is one on this machine.
    pub fn rabbitmq(target: PathBuf) -> Option<Self> {
        peer::is_installed().then(|| Self::new(RABBITMQ, Kind::RabbitMq { target }))
    }

    pub fn named(peer: &NamedPeer) -> Self {
        Self::new(&peer.name, Kind::Named { port: peer.port })
    }

    fn new(key: &str, kind: Kind) -> Self {
        Self { key: key.to_owned(), kind, running: None }
    }

    pub fn is_leveret(&self) -> bool {
        self.key == LEVERET
    }

    /// Whether it is ours to stop and start.
    pub fn can_start(&self) -> bool {
        !matches!(self.kind, Kind::Named { .. })
    }

    /// Where it is reached; started if it does not run.
    pub fn target(&mut self) -> anyhow::Result<Target> {
        if self.running.is_none() && self.can_start() {
            self.start_fresh()?;
        }
        let (url, pid) = match (&self.running, &self.kind) {
            (Some(Running::Server(server)), _) => (server.url(), Some(server.pid())),
            // The process that was started is a script; who listens is the broker.
            (Some(Running::Peer(peer)), _) => (peer.amqp_url(), pid_of_port(peer.port())),
            (None, Kind::Named { port }) => (format!("amqp://guest:guest@127.0.0.1:{port}/%2f"), pid_of_port(*port)),
            (None, _) => bail!("{} does not run", self.key),
        };
        Ok(Target { url, pid })
    }

    /// Starts it anew with nothing in it.
    pub fn start_fresh(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.clear()?;
        self.start()
    }

    /// Takes away what ours has kept; a RabbitMQ always begins with nothing.
    pub fn clear(&self) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Leveret { dir, .. } if dir.exists() => {
                fs::remove_dir_all(dir).with_context(|| dir.display().to_string())
            }
            _ => Ok(()),
        }
    }

    /// Starts it and waits until clients are welcome.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.running = match &self.kind {
            Kind::Leveret { binary, dir } => Some(Running::Server(Server::start_broker_as_is(binary, dir)?)),
            Kind::Relay { generator } => Some(Running::Server(Server::start_relay(generator)?)),
            Kind::RabbitMq { target } => Some(Running::Peer(Peer::start(target, &[])?)),
            Kind::Named { .. } => None,
        };
        Ok(())
    }

    /// Whether it answers the first bytes of a client.
    pub fn answers(&self) -> anyhow::Result<bool> {
        Ok(match &self.running {
            Some(Running::Server(server)) => peer::speaks_amqp(server.port()?),
            // It was asked until it did.
            Some(Running::Peer(_)) => true,
            None => false,
        })
    }

    pub fn stop(&mut self) {
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_port() {
        let peer: NamedPeer = "lavinmq=5673".parse().unwrap();
        assert_eq!(peer, NamedPeer { name: "lavinmq".to_owned(), port: 5673 });
        for wrong in ["lavinmq", "=5673", "lavinmq=x", "lavinmq=70000", "leveret=5673", "rabbitmq=5673"] {
            assert!(wrong.parse::<NamedPeer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_named_peer_runs_already_and_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut candidate = Candidate::named(&NamedPeer { name: "other".to_owned(), port });
        assert!(!candidate.can_start() && !candidate.is_leveret());
        let target = candidate.target().unwrap();
        assert_eq!(target.pid, Some(std::process::id()));
        assert!(target.url.ends_with(&format!("127.0.0.1:{port}/%2f")), "{}", target.url);
    }
}
