//! `cargo xtask bench hot`: how many instructions the hot functions take, against what is written down. A clock on a busy
//! machine does not see 3 %; a count does.
//!
//! Not a part of `cargo xtask test`: the C library chooses its memcpy by the CPU, so that the counts of another machine differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::command;
use crate::tools;
use crate::workspace::Workspace;

/// With the version of the library in the workspace's Cargo.toml.
const RUNNER_VERSION: &str = "0.20.0";
const RUNNER: &str = "gungraun-runner";

/// What a row may rise by before it counts as worse.
const RISE_PERCENT_MAX: f64 = 3.0;

/// Operations of each row's run: `OPERATIONS` in the benchmark.
const OPERATIONS: f64 = 256.0;

const BASELINE: &str = "crates/session/benches/instructions.toml";

const BASELINE_HEAD: &str = "\
# Instructions an operation, most often a message: written by `cargo xtask bench hot --save`.
#
# They hold for one compiler (rust-toolchain.toml), one allocator (mimalloc, as locked), and one kind of CPU: the C library
# chooses its memcpy by it. After a change of these save them again, without any other change, and judge from there.
";

#[derive(Args)]
pub struct HotArgs {
    /// Write down what is counted now, for later runs to be held against
    #[arg(long)]
    save: bool,
}

/// Instructions an operation, by row.
#[derive(Default, Deserialize, Serialize)]
struct Counts {
    instructions: BTreeMap<String, f64>,
}

/// A row beside what it was.
struct Row<'a> {
    name: &'a str,
    before: Option<f64>,
    now: Option<f64>,
}

pub fn hot(workspace: &Workspace, args: &HotArgs) -> anyhow::Result<()> {
    ensure!(
        command::works("valgrind", &["--version"]),
        "valgrind counts the instructions, and is not there: install it (`apt install valgrind`, `dnf install valgrind`)"
    );
    let runner = runner(workspace)?;
    let file = workspace.root.join(BASELINE);
    let before = read(&file)?;
    let now = count(workspace, &runner)?;
    let rows = rows(&before, &now);
    print!("{}", table(&rows));
    if args.save {
        let text = format!("{BASELINE_HEAD}\n{}", toml::to_string(&now)?);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        println!("written to {BASELINE}");
        return Ok(());
    }
    let worse: Vec<&str> = rows.iter().filter(|row| row.is_worse()).map(|row| row.name).collect();
    ensure!(worse.is_empty(), "more than {RISE_PERCENT_MAX} % above {BASELINE}, or gone: {}", worse.join(", "));
    Ok(())
}

/// The program that runs valgrind for the benchmark; it has to have the version of the library.
fn runner(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let is_ours = |program: &PathBuf| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(RUNNER_VERSION))
    };
    match tools::places(workspace, RUNNER).into_iter().find(is_ours) {
        Some(found) => Ok(found),
        None => tools::install(workspace, RUNNER, RUNNER_VERSION),
    }
}

fn read(file: &Path) -> anyhow::Result<Counts> {
    if !file.exists() {
        return Ok(Counts::default());
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// Builds the benchmark and counts every row.
fn count(workspace: &Workspace, runner: &Path) -> anyhow::Result<Counts> {
    let names = bench(workspace, runner, "--names")?;
    let names: Vec<&str> = names.lines().collect();
    println!("counting {} rows, about a minute", names.len());
    let reports = bench(workspace, runner, "--output-format=json")?;
    let mut instructions = BTreeMap::new();
    for line in reports.lines() {
        let (place, counted) = parse(line).with_context(|| format!("not a report of {RUNNER}: {line}"))?;
        let name = names.get(place).with_context(|| format!("row {place} has no name"))?;
        instructions.insert((*name).to_owned(), tenth(counted / OPERATIONS));
    }
    ensure!(instructions.len() == names.len(), "{} of {} rows were counted", instructions.len(), names.len());
    Ok(Counts { instructions })
}

fn bench(workspace: &Workspace, runner: &Path, arg: &str) -> anyhow::Result<String> {
    let mut command = workspace.cargo(&["bench", "--package", "leveret-session", "--bench", "instructions", "--", arg]);
    // The benchmark is told at its compilation where its runner is.
    let output = command.env("GUNGRAUN_RUNNER", runner).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the benchmark ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The number of a row, and its instructions, from the runner's report of it.
fn parse(line: &str) -> anyhow::Result<(usize, f64)> {
    let report: serde_json::Value = serde_json::from_str(line)?;
    let id = report.get("id").and_then(|id| id.as_str()).context("no id")?;
    let place = id.rsplit('_').next().unwrap_or_default().parse()?;
    let counted = report.pointer("/profiles/0/data/total/metrics/Ir/values/new").and_then(serde_json::Value::as_f64);
    Ok((place, counted.context("no new count")?))
}

fn tenth(count: f64) -> f64 {
    (count * 10.0).round() / 10.0
}

/// What is counted now, and what is counted no more.
fn rows<'a>(before: &'a Counts, now: &'a Counts) -> Vec<Row<'a>> {
    let (before, now) = (&before.instructions, &now.instructions);
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    now.keys()
        .chain(gone)
        .map(|name| Row { name, before: before.get(name).copied(), now: now.get(name).copied() })
        .collect()
}

impl Row<'_> {
    fn rise_percent(&self) -> Option<f64> {
        Some((self.now? / self.before? - 1.0) * 100.0)
    }

    fn is_worse(&self) -> bool {
        self.now.is_none() || self.rise_percent().is_some_and(|rise| rise > RISE_PERCENT_MAX)
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let number = |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.1}"));
    let mut text =
        format!("{:<36} {:>12} {:>12} {:>9}\n", "instructions an operation", "written down", "now", "change");
    for row in rows {
        let change = match (row.rise_percent(), row.now) {
            (Some(rise), _) => format!("{rise:+.1} %"),
            (None, Some(_)) => "new".to_owned(),
            (None, None) => "gone".to_owned(),
        };
        let mark = if row.is_worse() { " <" } else { "" };
        text += &format!("{:<36} {:>12} {:>12} {change:>9}{mark}\n", row.name, number(row.before), number(row.now));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, f64)]) -> Counts {
        Counts { instructions: rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect() }
    }

    #[test]
    fn a_rise_or_a_missing_row_is_worse() {
        let before = counts(&[("gone", 5.0), ("risen", 100.0), ("same", 100.0), ("fallen", 100.0)]);
        let now = counts(&[("risen", 103.1), ("same", 102.9), ("fallen", 50.0), ("new", 7.0)]);
        let rows = rows(&before, &now);
        let worse: Vec<&str> = rows.iter().filter(|row| row.is_worse()).map(|row| row.name).collect();
        assert_eq!(worse, ["risen", "gone"]);
    }

    #[test]
    fn reports_are_read_with_and_without_an_older_one() {
        let report = |values: &str| {
            format!(
                r#"{{"id":"all_12","profiles":[{{"data":{{"total":{{"metrics":{{"Ir":{{"values":{values}}}}}}}}}}}]}}"#
            )
        };
        assert_eq!(parse(&report(r#"{"new":512}"#)).unwrap(), (12, 512.0));
        assert_eq!(parse(&report(r#"{"new":512,"old":600}"#)).unwrap(), (12, 512.0));
        assert!(parse(&report(r#"{"old":600}"#)).is_err());
    }
}
