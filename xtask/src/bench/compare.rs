//! `cargo xtask bench compare`: the standard table, against the machine's own limit and other brokers.
//!
//! All take turns, round by round, row by row: what disturbs the machine for a while disturbs all alike. Leveret always runs
//! with its defaults on a data directory.

mod candidates;
mod figures;
mod goals;
mod locks;
mod machine;
mod page;
mod rows;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::generator::Generator;
use super::{build, fresh_directory};
use crate::workspace::Workspace;
use candidates::{Candidate, NamedPeer};
use figures::Results;
use machine::Machine;
use rows::{ROWS, Row};
use run::Runner;

#[derive(Args)]
pub struct CompareArgs {
    /// Measured seconds of each run of a load
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds; the median of each figure is written
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only the row of this key, or rows with this in key or name; more than one is possible. Without --merge they are
    /// shown and not written
    #[arg(long, value_name = "FILTER")]
    rows: Vec<String>,
    /// Also the rows that take minutes and tens of gigabytes of disk, once
    #[arg(long)]
    long: bool,
    /// Another broker on loopback that runs already, more than one is possible
    #[arg(long, value_name = "NAME=PORT")]
    peer: Vec<NamedPeer>,
    /// Leave RabbitMQ out even if it is installed
    #[arg(long)]
    no_rabbitmq: bool,
    /// Keep the rows of the last figures that are not run now
    #[arg(long)]
    merge: bool,
    /// Measure nothing, write the page from the last figures
    #[arg(long, conflicts_with_all = ["merge", "rows", "long", "peer"])]
    from_json: bool,
    /// Where the page goes
    #[arg(long, default_value = "docs/performance.md")]
    output: PathBuf,
}

/// Measures, prints, and writes the page and the figures.
pub fn compare(workspace: &Workspace, args: &CompareArgs) -> anyhow::Result<()> {
    let figures = workspace.target.join("bench").join("compare.json");
    let page = workspace.root.join(&args.output);
    if args.from_json {
        return write(&page, &page::page(&read(&figures)?));
    }
    // Read before anything is measured: if it cannot be, that is known now.
    let former = if args.merge { Some(read(&figures)?) } else { None };
    let wanted = wanted(args)?;
    let (mut results, failures) = measure(workspace, args, &wanted)?;
    print!("\n{}", page::goals(&results));
    if args.rows.is_empty() || args.merge {
        if let Some(former) = former {
            results.merge(former)?;
        }
        write(&figures, &serde_json::to_string_pretty(&results)?)?;
        write(&page, &page::page(&results))?;
    } else {
        println!("\nThis was a part of the table and is not written; --merge writes it beside the last figures.");
    }
    ensure!(failures.is_empty(), "{} runs failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// The rows to run: those that were asked for, and those that their goals look at, so that both are of one run.
fn wanted(args: &CompareArgs) -> anyhow::Result<Vec<&'static Row>> {
    let is_asked_for = |row: &Row| {
        let is_named = args.rows.is_empty() || args.rows.iter().any(|filter| row.is_named_by(filter));
        is_named && (args.long || !row.is_long())
    };
    let asked_for: Vec<&Row> = ROWS.iter().filter(|row| is_asked_for(row)).collect();
    let keys: Vec<&str> = ROWS.iter().map(|row| row.key).collect();
    ensure!(!asked_for.is_empty(), "no such row without --long; there are {}", keys.join(", "));
    let looked_at: Vec<&str> = asked_for.iter().flat_map(|row| row.looks_at()).collect();
    Ok(ROWS.iter().filter(|row| is_asked_for(row) || looked_at.contains(&row.key)).collect())
}

/// All rounds. A run that fails is told at the end: what the others found is worth minutes.
fn measure(
    workspace: &Workspace,
    args: &CompareArgs,
    wanted: &[&'static Row],
) -> anyhow::Result<(Results, Vec<String>)> {
    let open_files = machine::raise_open_files();
    let (broker, generator) = build(workspace)?;
    let (data, dir) = fresh_directory(workspace, "compare-data", None)?;
    let mut candidates = candidates(workspace, args, &broker, &generator, &data);
    let runner = Runner { generator: Generator { binary: generator }, dir, seconds: args.seconds, open_files };
    let mut results = Results { machine: Machine::this(), ..Results::default() };
    let mut failures = Vec::new();
    for round in 1..=args.rounds {
        for row in wanted.iter().filter(|row| round == 1 || !row.is_long()) {
            for candidate in candidates.iter_mut().filter(|candidate| row.takes(&candidate.key)) {
                let title = format!("round {round}, {}, {}", row.key, candidate.key);
                match runner.run(row, candidate) {
                    Ok(None) => {}
                    Ok(Some(outcome)) => {
                        println!("{title}: {}", run::shown(&outcome.figures));
                        results.introduce(&candidate.key, outcome.broker.as_deref());
                        results.add(row.key, &candidate.key, args.seconds, outcome.figures);
                    }
                    Err(error) => {
                        println!("{title}: failed: {error:#}");
                        failures.push(format!("{title}: {error:#}"));
                    }
                }
            }
        }
    }
    drop(candidates);
    fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
    Ok((results, failures))
}

fn candidates(
    workspace: &Workspace,
    args: &CompareArgs,
    broker: &Path,
    generator: &Path,
    data: &Path,
) -> Vec<Candidate> {
    let mut candidates =
        vec![Candidate::leveret(broker.to_owned(), data.to_owned()), Candidate::relay(generator.to_owned())];
    if !args.no_rabbitmq {
        match Candidate::rabbitmq(workspace.target.clone()) {
            Some(rabbitmq) => candidates.push(rabbitmq),
            None => println!(
                "RabbitMQ is not compared with: it is not installed (Debian, as root: apt-get install rabbitmq-server)"
            ),
        }
    }
    candidates.extend(args.peer.iter().map(Candidate::named));
    candidates
}

fn read(path: &Path) -> anyhow::Result<Results> {
    let Ok(text) = fs::read_to_string(path) else {
        bail!("there are no figures yet in {}: run the whole table first", path.display());
    };
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: CompareArgs,
    }

    fn keys(line: &str) -> anyhow::Result<Vec<&'static str>> {
        let args = CommandLine::try_parse_from(std::iter::once("compare").chain(line.split_whitespace()))?.args;
        Ok(wanted(&args)?.iter().map(|row| row.key).collect())
    }

    #[test]
    fn rows_are_chosen_by_filters_and_long_ones_by_an_option() {
        assert_eq!(keys("--rows lone --rows topic").unwrap(), ["lone-persistent", "lone-transient", "topic"]);
        assert_eq!(keys("--rows 16x1").unwrap(), ["1k", "16x1x16"], "a goal of it looks at the other");
        assert_eq!(keys("").unwrap().len() + 1, keys("--long").unwrap().len());
        assert_eq!(keys("--long --rows 10m").unwrap(), ["1k-persistent-consumed", "10m"]);
        assert!(keys("--rows 10m").is_err());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in ["--from-json --merge", "--from-json --rows a", "--rounds 0", "--peer nonsense"] {
            assert!(keys(line).is_err(), "{line}");
        }
    }
}
