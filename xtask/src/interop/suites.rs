//! The suites of two clients in their own test runners. Each starts a broker of its own, or uses the RabbitMQ that
//! runs.

use crate::broker::Broker;
use crate::command;
use crate::python;
use crate::workspace::Workspace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Pika,
    Lapin,
}

impl Suite {
    pub const ALL: [Self; 2] = [Self::Pika, Self::Lapin];

    pub fn folder(self) -> &'static str {
        match self {
            Self::Pika => "pika",
            Self::Lapin => "lapin",
        }
    }

    pub fn step_name(self) -> &'static str {
        match self {
            Self::Pika => "interop: pika, its suite",
            Self::Lapin => "interop: lapin, its suite",
        }
    }

    /// Runs the suite against `broker`.
    pub fn run(self, workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
        match self {
            Self::Pika => pika(workspace, broker),
            Self::Lapin => lapin(workspace, broker),
        }
    }
}

fn pika(workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
    let folder = workspace.root.join("interop").join("pika");
    // The same environment as that of the folder's `run`.
    let home = workspace.target.join("interop").join("pika").join("venv");
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
