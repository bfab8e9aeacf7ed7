//! cargo-deny: which crates and licences we take in, and from where (`deny.toml`).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::command;
use crate::plan::Plan;
use crate::tools;
use crate::workspace::Workspace;

const NAME: &str = "cargo-deny";
const VERSION: &str = "0.20.2";
/// The database of advisories is a small git repository; who has not answered by then is out of reach.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The steps of cargo-deny. What only lacks a network is skipped with a word, except that CI must have the tool.
pub fn steps(plan: &mut Plan, workspace: &Workspace) {
    let tool = match find(workspace) {
        Some(found) => Some(found),
        None => plan.attempt("deny: install the tool", is_ci(), || tools::install(workspace, NAME, VERSION).map(Tool)),
    };
    let Some(tool) = tool else { return };
    plan.step("deny: bans, licenses, sources", || {
        command::run(&mut tool.command(workspace, &["check", "bans", "licenses", "sources"]))
    });
    let fetched = plan.attempt("deny: fetch the advisories", false, || {
        command::run_within(&mut tool.command(workspace, &["fetch", "db"]), FETCH_LIMIT)
            .context("their database cannot be reached from here")
    });
    if fetched.is_some() {
        plan.step("deny: advisories", || command::run(&mut tool.command(workspace, &["check", "advisories"])));
    }
}

struct Tool(PathBuf);

impl Tool {
    fn command(&self, workspace: &Workspace, args: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(args).current_dir(&workspace.root);
        command
    }
}

fn find(workspace: &Workspace) -> Option<Tool> {
    tools::places(workspace, NAME).into_iter().find(|program| command::works(program, &["--version"])).map(Tool)
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
