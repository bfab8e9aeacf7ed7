//! `cargo xtask package`: the static broker with its links, manual pages and completions as a tree, as an archive and as a
//! Debian package; `target/package/` holds them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::command;
use crate::plan::Plan;
use crate::tools;
use crate::workspace::Workspace;

const CARGO_DEB: &str = "cargo-deb";
const CARGO_DEB_VERSION: &str = "3.8.0";
/// Where commands are found by their names, and where Debian's RabbitMQ has them besides; with the way to the program.
const LINK_FOLDERS: [(&str, &str); 2] =
    [("usr/sbin", "../bin/leveret"), ("usr/lib/rabbitmq/bin", "../../../bin/leveret")];
const STEP: &str = "packages: what goes into them";

/// The command.
pub fn package(workspace: &Workspace) -> anyhow::Result<()> {
    let home = home(workspace);
    let root = tree(workspace, &static_binary(workspace, &home)?)?;
    let version = env!("CARGO_PKG_VERSION");
    let archive = home.join(format!("leveret-{version}-{}-linux.tar.gz", std::env::consts::ARCH));
    command::run(
        Command::new("tar")
            .args(["--create", "--gzip", "--owner=0", "--group=0", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&root)
            .arg("."),
    )?;
    let [path, own] = tools::places(workspace, CARGO_DEB);
    let program = [path, own].into_iter().find(|program| command::works(program, &["--version"]));
    let program = program.map_or_else(|| tools::install(workspace, CARGO_DEB, CARGO_DEB_VERSION), Ok)?;
    let mut deb = Command::new(program);
    deb.args(["--no-build", "--no-strip", "--package", "leveret", "--output"]).arg(&home).current_dir(&workspace.root);
    command::run(&mut deb)?;
    println!("see {}", home.display());
    Ok(())
}

/// The broker that `LEVERET_BIN` names, or one that is built now.
fn static_binary(workspace: &Workspace, home: &Path) -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("LEVERET_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let binary = home.join("leveret");
    command::run(Command::new(workspace.root.join("packaging/build-static.sh")).arg(&binary))?;
    Ok(binary)
}

/// That part of it which needs nothing but the broker, as part of the full test.
pub fn steps(plan: &mut Plan, workspace: &Workspace, binary: &Path) {
    plan.step(STEP, || {
        tree(workspace, binary)?;
        assets_are_there(workspace)
    });
}

/// The names of all that [`steps`] runs.
pub fn step_names() -> [&'static str; 1] {
    [STEP]
}

/// In the folder of the workspace whatever the target folder is: the manifest of the package has to name it.
fn home(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target").join("package")
}

/// Puts together the tree that is installed.
fn tree(workspace: &Workspace, binary: &Path) -> anyhow::Result<PathBuf> {
    let root = home(workspace).join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let folder = |path: &str| -> anyhow::Result<PathBuf> {
        let folder = root.join(path);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    fs::copy(binary, folder("usr/bin")?.join("leveret")).with_context(|| binary.display().to_string())?;
    let names = link_names(binary, &home(workspace).join("links"))?;
    for (path, target) in LINK_FOLDERS {
        let folder = folder(path)?;
        for name in &names {
            symlink(target, folder.join(name))?;
        }
    }
    generate(binary, "man", &folder("usr/share/man/man1")?)?;
    let completions = home(workspace).join("completions");
    generate(binary, "completions", &completions)?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions"),
        ("zsh", "usr/share/zsh/vendor-completions"),
        ("fish", "usr/share/fish/vendor_completions.d"),
    ] {
        let folder = folder(path)?;
        for entry in fs::read_dir(completions.join(shell))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // bash looks for the name of the command alone.
            let name = if shell == "bash" { name.trim_end_matches(".bash") } else { &name };
            fs::copy(entry.path(), folder.join(name))?;
        }
    }
    Ok(root)
}

/// The names by which the program is called: it says so itself, by making the links.
fn link_names(binary: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    command::run(Command::new(binary).arg("install-links").arg(folder))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn generate(binary: &Path, what: &str, folder: &Path) -> anyhow::Result<()> {
    command::run(Command::new(binary).args(["generate", what]).arg(folder))
}

/// Each line of the Debian package's manifest finds something.
fn assets_are_there(workspace: &Workspace) -> anyhow::Result<()> {
    let package = workspace.root.join("crates").join("leveret");
    let manifest: toml::Table = fs::read_to_string(package.join("Cargo.toml"))?.parse()?;
    let deb = manifest.get("package").and_then(|table| table.get("metadata")?.get("deb")).context("no metadata.deb")?;
    let assets = deb.get("assets").and_then(toml::Value::as_array).context("no assets")?;
    for asset in assets {
        let source = asset.get(0).and_then(toml::Value::as_str).context("an asset without a source")?;
        let found = match source.strip_suffix("/*") {
            Some(folder) => fs::read_dir(package.join(folder)).is_ok_and(|mut entries| entries.next().is_some()),
            None => package.join(source).exists(),
        };
        ensure!(found, "{source} is not there");
    }
    println!("{} assets are there", assets.len());
    Ok(())
}
