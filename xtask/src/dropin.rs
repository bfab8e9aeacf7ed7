//! Keeps `docs/drop-in.md` true: each row is filled, and what it names as its proof exists.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::interop::tools::tool;
use crate::workspace::Workspace;

const PAGE: &str = "docs/drop-in.md";
/// Below these are the tests in Rust.
const SOURCES: [&str; 3] = ["crates", "tests", "xtask"];
const COLUMNS: usize = 4;
/// Fewer would mean that the tables are read wrongly.
const ROWS_MIN: usize = 100;
/// How a cell begins that names no proof; a reason follows.
const REASONS: [&str; 3] = ["not yet: ", "none: ", "not applicable: "];
const REASON_LENGTH_MIN: usize = 10;

/// Fails with all that is wrong with the page.
pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let text = fs::read_to_string(workspace.root.join(PAGE)).context(PAGE)?;
    let mut sources = Vec::new();
    for folder in SOURCES {
        read_sources(&workspace.root.join(folder), &mut sources)?;
    }
    let rows = rows(&text);
    ensure!(rows.len() >= ROWS_MIN, "{PAGE} has only {} rows", rows.len());
    let faults: Vec<String> = rows.iter().filter_map(|row| fault(row, &sources)).collect();
    if !faults.is_empty() {
        bail!("{PAGE}: {} faults:\n{}", faults.len(), faults.join("\n"));
    }
    println!("{} rows of {PAGE} are proved or explained", rows.len());
    Ok(())
}

/// A file with tests, by its path and its text.
type Source = (PathBuf, String);

fn read_sources(folder: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            sources.push((path, text));
        }
    }
    Ok(())
}

/// The cells of each row of each table, without the heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|--") && !line.ends_with("| Shown by |");
    text.lines().filter(is_row).map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn fault(row: &[&str], sources: &[Source]) -> Option<String> {
    let what = row.first().copied().unwrap_or_default();
    if row.len() != COLUMNS || row.iter().any(|cell| cell.is_empty()) {
        return Some(format!("{what}: {} cells, or an empty one", row.len()));
    }
    let proof = row.last().copied().unwrap_or_default();
    if let Some(reason) = REASONS.iter().find_map(|begin| proof.strip_prefix(begin)) {
        return (reason.len() < REASON_LENGTH_MIN).then(|| format!("{what}: gives no reason"));
    }
    let references: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
    if references.is_empty() {
        return Some(format!("{what}: names no test and gives no reason"));
    }
    let missing: Vec<&str> = references.into_iter().filter(|reference| !exists(reference, sources)).collect();
    (!missing.is_empty()).then(|| format!("{what}: there is no {}", missing.join(", ")))
}

/// `FILE::FUNCTION`, the file by its name or that of a folder around it, or `tools/TOOL::WHAT`.
fn exists(reference: &str, sources: &[Source]) -> bool {
    let Some((place, name)) = reference.split_once("::") else { return false };
    if let Some(found) = place.strip_prefix("tools/") {
        return tool(found).is_some_and(|tool| tool.asked.iter().any(|(asked, _)| *asked == name));
    }
    let function = format!("fn {name}(");
    sources.iter().any(|(path, text)| is_in(path, place) && text.contains(&function))
}

fn is_in(path: &Path, place: &str) -> bool {
    path.file_stem().is_some_and(|stem| stem == place) || path.iter().any(|part| part == place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_true() {
        check(&Workspace::load().unwrap()).unwrap();
    }

    #[test]
    fn rows_need_a_proof_or_a_reason() {
        let sources = [(PathBuf::from("tests/tests/dropin/http.rs"), "fn probes() {}".to_owned())];
        let text = "| What | RabbitMQ | Leveret | Shown by |\n|---|---|---|---|\n\
                    | a | b | c | `dropin::probes`, `http::probes` |\n\
                    | a | b | c | `tools/prometheus::scrape` |\n\
                    | a | b | c | not yet: nobody has done it |\n\
                    | a | b | c | `dropin::others` |\n\
                    | a | b | c | `tools/prometheus::nothing` |\n\
                    | a | b | c | not yet: so |\n\
                    | a | b | c | it works |\n\
                    | a |  | c | `dropin::probes` |\n";
        let rows = rows(text);
        let faults: Vec<bool> = rows.iter().map(|row| fault(row, &sources).is_some()).collect();
        assert_eq!(faults, [false, false, false, true, true, true, true, true]);
    }
}
