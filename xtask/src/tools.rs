//! Programs of others that a command needs, installed into the target folder when they are not there.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::command;
use crate::workspace::Workspace;

/// Where a program may be: on the path, or where [`install`] puts it.
pub fn places(workspace: &Workspace, name: &str) -> [PathBuf; 2] {
    [PathBuf::from(name), folder(workspace).join("bin").join(name)]
}

/// Builds the program of the package of the same name.
pub fn install(workspace: &Workspace, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let folder = folder(workspace);
    let build = folder.join("build");
    command::run_patiently(|| {
        let mut install = workspace.cargo(&["install", name, "--locked", "--version", version]);
        // The tool runs for a second: what counts is how soon it is built.
        install.args(["--profile", "dev", "--root"]).arg(&folder).env("CARGO_TARGET_DIR", &build);
        install
    })
    .with_context(|| format!("{name} cannot be installed"))?;
    // Hundreds of megabytes that nobody reads again.
    let _ = std::fs::remove_dir_all(&build);
    let [_, own] = places(workspace, name);
    Ok(own)
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}
