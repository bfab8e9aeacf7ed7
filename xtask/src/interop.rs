//! Other people's clients: how each suite in `interop/` is started.

use clap::ValueEnum;

use crate::broker::Broker;
use crate::command;
use crate::python;
use crate::workspace::Workspace;

/// A client family with its folder in `interop/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Client {
    Pika,
    Lapin,
}

impl Client {
    pub fn step_name(self) -> &'static str {
        match self {
            Self::Pika => "interop: pika",
            Self::Lapin => "interop: lapin",
        }
    }

    /// Runs the client's suite against `broker`.
    pub fn run(self, workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
        match self {
            Self::Pika => pika(workspace, broker),
            Self::Lapin => lapin(workspace, broker),
        }
    }
}

fn pika(workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
    let folder = workspace.root.join("interop").join("pika");
    let home = workspace.target.join("interop").join("pika");
    let python = python::environment(&home, &folder.join("requirements.txt"))?;
    let mut suite = std::process::Command::new(python);
    suite
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CARGO_TARGET_DIR", &workspace.target)
        .current_dir(folder);
    broker.tell(&mut suite);
    command::run(&mut suite)
}

fn lapin(workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
    let mut suite = workspace.cargo(&["test", "--no-fail-fast", "--package", "leveret-interop-lapin"]);
    broker.tell(&mut suite);
    command::run(&mut suite)
}
