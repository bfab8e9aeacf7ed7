//! `cargo xtask bench backlog`: millions of messages in, waiting, and out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::server::Server;
use super::{build, fresh_directory};
use crate::command;
use crate::workspace::Workspace;

/// What a message needs on disk besides its body.
const MESSAGE_OVERHEAD_BYTES: u64 = 128;
/// A message is written to the journal and, when it stays, to a segment; both may be there for a while.
const COPIES_ON_DISK: u64 = 2;
/// Free space that the machine keeps for others.
const SPARE_BYTES: u64 = 2 << 30;
const RUN_LIMIT: Duration = Duration::from_secs(3 * 3600);

#[derive(Args)]
pub struct BacklogArgs {
    /// Messages
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// Transient messages in a queue that is not durable
    #[arg(long)]
    transient: bool,
    /// In place of emptying the queue, end the broker and see how long it takes to start with it
    #[arg(long, conflicts_with = "transient")]
    restart: bool,
    /// The broker's durability
    #[arg(long, default_value = "fsync")]
    durability: String,
    /// A directory on the disk to use; below target/ when it is not given
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Measures and prints.
pub fn backlog(workspace: &Workspace, args: &BacklogArgs) -> anyhow::Result<()> {
    let (broker, generator) = build(workspace)?;
    let (dir, results) = fresh_directory(workspace, "backlog-data", args.dir.as_deref())?;
    let wanted = args.messages * (args.size + MESSAGE_OVERHEAD_BYTES) * COPIES_ON_DISK + SPARE_BYTES;
    let free = free_bytes(&dir)?;
    println!("{}: {} GB are free, {} GB may be needed", dir.display(), free / 1_000_000_000, wanted / 1_000_000_000);
    ensure!(free >= wanted, "the disk has too little room: choose fewer --messages or another --dir");
    let server = Server::start_broker_on(&broker, &dir, &args.durability)?;
    let kind = if args.transient { "transient" } else { "persistent" };
    let mut run = Command::new(generator);
    run.args(["backlog", "--url", &server.url(), "--pid", &server.pid().to_string()])
        .args(["--messages", &args.messages.to_string(), "--size", &args.size.to_string()])
        .arg("--json-file")
        .arg(results.join(format!("backlog-{kind}.json")));
    if args.transient {
        run.arg("--transient");
    }
    if args.restart {
        run.arg("--fill-only");
    }
    let outcome = match command::run_within(&mut run, RUN_LIMIT) {
        Ok(()) if args.restart => restarts(server, &broker, &dir, &args.durability),
        other => {
            drop(server);
            other
        }
    };
    fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    outcome
}

/// How long a broker takes until clients are welcome: after a kill, and after a stop in peace.
fn restarts(mut server: Server, broker: &Path, dir: &Path, durability: &str) -> anyhow::Result<()> {
    const END_LIMIT: Duration = Duration::from_secs(60);
    let ends = [("KILL", "a kill"), ("KILL", "another kill"), ("TERM", "a stop in peace"), ("TERM", "another")];
    for (signal, words) in ends {
        server.end(signal, END_LIMIT)?;
        let begin = Instant::now();
        server = Server::start_broker_on(broker, dir, durability)?;
        println!("started again after {words:<16} in {:>8.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Free bytes of the file system that holds a directory.
fn free_bytes(dir: &Path) -> anyhow::Result<u64> {
    let output = Command::new("df").args(["--output=avail", "--block-size=1"]).arg(dir).output().context("df")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = text.lines().nth(1).context("df tells nothing")?;
    figure.trim().parse().context("df tells no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_known() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
    }
}
