//! cargo-deny: which crates and licences we take in, and from where (`deny.toml`).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::command;
use crate::plan::Plan;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";
/// The database of advisories is a small git repository; who has not answered by then is out of reach.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The steps of cargo-deny. What only lacks a network is skipped with a word, except that CI must have the tool.
pub fn steps(plan: &mut Plan, workspace: &Workspace) {
    let tool = match find(workspace) {
        Some(found) => Some(found),
        None => plan.attempt("deny: install the tool", is_ci(), || install(workspace)),
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
    [PathBuf::from("cargo-deny"), own_program(workspace)]
        .into_iter()
        .find(|program| command::works(program, &["--version"]))
        .map(Tool)
}

fn install(workspace: &Workspace) -> anyhow::Result<Tool> {
    let tools = tools(workspace);
    let build = tools.join("build");
    command::run(
        workspace
            .cargo(&["install", "cargo-deny", "--locked", "--version", VERSION])
            // The tool runs for a second: what counts is how soon it is built.
            .args(["--profile", "dev", "--root"])
            .arg(&tools)
            .env("CARGO_TARGET_DIR", &build),
    )
    .context("cargo-deny cannot be installed")?;
    // Hundreds of megabytes that nobody reads again.
    let _ = std::fs::remove_dir_all(&build);
    Ok(Tool(own_program(workspace)))
}

fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

fn own_program(workspace: &Workspace) -> PathBuf {
    tools(workspace).join("bin").join("cargo-deny")
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
