//! `cargo xtask torture`: the broker is killed under load, again and again; `interop/lapin/src/bin/torture/` says how.

use clap::Args;

use crate::broker::Broker;
use crate::command;
use crate::workspace::Workspace;

/// Rounds in the full test, and the seconds after which no more are begun.
const SHORT_ROUNDS: u32 = 25;
const SHORT_SECONDS: u64 = 100;
/// For building it, and for the rest of the last round.
const BUILD_SECONDS_MAX: u64 = 1_800;

#[derive(Args)]
pub struct TortureArgs {
    /// How often the broker is ended
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// What decides sizes, routes and moments, as an earlier run has printed it
    #[arg(long)]
    seed: Option<u64>,
    /// The broker's durability: fsync, interval=MS or os
    #[arg(long, default_value = "fsync")]
    durability: String,
    /// No new round is begun after so many seconds
    #[arg(long, default_value_t = 3_600)]
    seconds_max: u64,
    /// Prove the torture itself: on nodes of Debian's rabbitmq-server
    #[arg(long)]
    peer: bool,
}

impl TortureArgs {
    /// What the full test does.
    pub fn short() -> Self {
        let durability = "fsync".to_owned();
        Self { rounds: SHORT_ROUNDS, seed: None, durability, seconds_max: SHORT_SECONDS, peer: false }
    }
}

/// Builds the broker, or finds the peer, and tortures it.
pub fn run(workspace: &Workspace, args: &TortureArgs) -> anyhow::Result<()> {
    rounds(workspace, &Broker::ready(workspace, args.peer)?, args)
}

/// Tortures the broker that is there.
pub fn rounds(workspace: &Workspace, broker: &Broker, args: &TortureArgs) -> anyhow::Result<()> {
    let mut torture =
        workspace.cargo(&["run", "--quiet", "--package", "leveret-interop-lapin", "--bin", "torture", "--"]);
    torture
        .args(["--rounds", &args.rounds.to_string(), "--durability", &args.durability])
        .args(["--seconds-max", &args.seconds_max.to_string()]);
    if let Some(seed) = args.seed {
        torture.args(["--seed", &seed.to_string()]);
    }
    broker.tell(&mut torture);
    command::run_within(&mut torture, std::time::Duration::from_secs(2 * args.seconds_max + BUILD_SECONDS_MAX))
}
