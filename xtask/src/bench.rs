//! `cargo xtask bench`: the standard table beside other brokers (`compare`), what a disk costs (`store`), and what waiting
//! messages cost (`backlog`).

mod backlog;
mod compare;
mod generator;
mod server;
mod store;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command;
use crate::workspace::Workspace;
pub use backlog::{BacklogArgs, backlog};
pub use compare::{CompareArgs, compare};
pub use store::{StoreArgs, store};

/// Builds broker and load generator as users run them. `LEVERET_BIN` and `LEVERET_BENCH_BIN` name what is built already.
fn build(workspace: &Workspace) -> anyhow::Result<(PathBuf, PathBuf)> {
    let built = |variable| std::env::var_os(variable).map(PathBuf::from);
    let broker = match built("LEVERET_BIN") {
        Some(broker) => broker,
        None => {
            crate::broker::build(workspace)?;
            workspace.broker_binary()
        }
    };
    let generator = match built("LEVERET_BENCH_BIN") {
        Some(generator) => generator,
        None => {
            command::run(&mut workspace.cargo(&["build", "--release", "--package", "leveret-bench"]))?;
            let name = format!("leveret-bench{}", std::env::consts::EXE_SUFFIX);
            workspace.target.join("release").join(name)
        }
    };
    Ok((broker, generator))
}

/// The middle of some values, not a number when there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len().is_multiple_of(2) { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) } else { at(middle) }
}

/// A fresh directory of this name for the data of a broker that is measured, on the disk where builds go, and the folder
/// for the figures.
fn fresh_directory(workspace: &Workspace, name: &str, chosen: Option<&Path>) -> anyhow::Result<(PathBuf, PathBuf)> {
    let results = workspace.target.join("bench");
    let dir = chosen.unwrap_or(&results).join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    fs::create_dir_all(&results).with_context(|| results.display().to_string())?;
    Ok((dir, results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(vec![5.0, 1.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
