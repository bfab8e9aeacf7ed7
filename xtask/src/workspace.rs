//! What cargo says about this workspace: its folders, its packages and their dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The workspace as `cargo metadata` shows it.
pub struct Workspace {
    pub root: PathBuf,
    /// Where builds go; respects `CARGO_TARGET_DIR`.
    pub target: PathBuf,
    pub packages: Vec<Package>,
}

#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
    pub optional: bool,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

impl Workspace {
    pub fn load() -> anyhow::Result<Self> {
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .output()
            .context("cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, packages: metadata.packages })
    }

    /// A cargo command in the root of the workspace, building where this one was built.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_program());
        command
            .args(args)
            .current_dir(&self.root)
            // A relative CARGO_TARGET_DIR would mean another folder there.
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The broker as `cargo build --release` leaves it.
    pub fn broker_binary(&self) -> PathBuf {
        let name = format!("leveret{}", std::env::consts::EXE_SUFFIX);
        self.target.join("release").join(name)
    }

    /// The packages under `crates/`: all of them have a library.
    pub fn libraries(&self) -> impl Iterator<Item = &str> {
        let crates = self.root.join("crates");
        self.packages
            .iter()
            .filter(move |package| package.manifest_path.starts_with(&crates))
            .map(|package| package.name.as_str())
    }
}

/// The cargo that runs us, so that its toolchain is the one that everything is built with.
pub fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
