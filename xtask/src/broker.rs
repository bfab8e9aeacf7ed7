//! The broker that a suite talks to: ours, or a RabbitMQ to prove the suite itself.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::peer::{PLUGINS, Peer};
use crate::workspace::Workspace;

pub enum Broker {
    /// Our binary; every suite starts its own.
    Built(PathBuf),
    /// A RabbitMQ that runs already.
    Peer(Peer),
}

impl Broker {
    /// Builds our broker, or starts the peer.
    pub fn ready(workspace: &Workspace, peer: bool) -> anyhow::Result<Self> {
        if peer {
            return Ok(Self::Peer(Peer::start(&workspace.target, &PLUGINS)?));
        }
        build(workspace)?;
        Ok(Self::Built(workspace.broker_binary()))
    }

    /// Tells a suite by its environment which broker to use.
    pub fn tell(&self, suite: &mut Command) {
        // What the caller's shell happens to hold must not change what is tested.
        for name in ["LEVERET_BIN", "AMQP_URL", "LEVERET_PEER"] {
            suite.env_remove(name);
        }
        match self {
            Self::Built(binary) => suite.env("LEVERET_BIN", binary),
            Self::Peer(peer) => suite.env("AMQP_URL", peer.amqp_url()).env("LEVERET_PEER", "rabbitmq"),
        };
    }
}

/// Builds the broker in the profile that users run.
pub fn build(workspace: &Workspace) -> anyhow::Result<()> {
    command::run(&mut workspace.cargo(&["build", "--release", "--package", "leveret"]))
}

/// Our broker: the one that `LEVERET_BIN` names, or one that is built now.
pub fn binary(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("LEVERET_BIN") {
        return Ok(PathBuf::from(binary));
    }
    build(workspace)?;
    Ok(workspace.broker_binary())
}
