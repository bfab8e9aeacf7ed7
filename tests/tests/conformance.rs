//! The table of behaviours has no gaps that are not explained, and names only tests that exist.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The sources of the tests below a directory: file or folder name to text.
fn sources(directory: &Path, extension: &str) -> HashMap<String, String> {
    let mut sources: HashMap<String, String> = HashMap::new();
    for entry in fs::read_dir(directory).expect("the directory of the tests can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            let text: String = self::sources(&path, extension).into_values().collect();
            sources.entry(name).or_default().push_str(&text);
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).expect("a source can be read");
            sources.entry(name).or_default().push_str(&text);
        }
    }
    sources
}

/// Adds sources to others: files of two packages may have one name.
fn add(known: &mut HashMap<String, String>, more: HashMap<String, String>) {
    for (name, text) in more {
        known.entry(name).or_default().push_str(&text);
    }
}

/// Every `file::test` between backquotes.
fn references(table: &str) -> Vec<(&str, &str)> {
    table.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once("::")).collect()
}

/// The cells of every row of every table, without the heads.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---") && !line.ends_with("| Shown by |");
    table.lines().filter(is_row).map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What is wrong with the cell that says where a behaviour is shown.
fn complaint(shown_by: &str) -> Option<&'static str> {
    const REASON_MIN: usize = 10;
    const NOWHERE: [&str; 2] = ["not yet", "not applicable"];
    if shown_by.is_empty() {
        return Some("is empty");
    }
    for nowhere in NOWHERE {
        for (_, rest) in shown_by.match_indices(nowhere).map(|(at, found)| shown_by.split_at(at + found.len())) {
            if rest.strip_prefix(": ").is_none_or(|reason| reason.len() < REASON_MIN) {
                return Some("gives no reason");
            }
        }
    }
    let names_some = shown_by.contains('`') || shown_by.contains("every test");
    (!names_some && !NOWHERE.iter().any(|nowhere| shown_by.starts_with(nowhere))).then_some("names no test")
}

#[test]
fn every_row_names_a_test_or_a_reason() {
    const ROWS_MIN: usize = 200;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/conformance.md");
    let table = fs::read_to_string(path).expect("the table can be read");
    let rows = rows(&table);
    assert!(rows.len() >= ROWS_MIN, "only {} rows", rows.len());
    let complain = |row: &Vec<&str>| match row[..] {
        [behaviour, shown_by] => complaint(shown_by).map(|complaint| format!("{behaviour}: {complaint}")),
        _ => Some(format!("{row:?}: has not two cells")),
    };
    let complaints: Vec<String> = rows.iter().filter_map(complain).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_bare_excuse_is_no_reason() {
    for bad in ["", "not yet", "not yet: later", "not applicable", "of course", "`a::b`; memory: not yet"] {
        assert!(complaint(bad).is_some(), "{bad}");
    }
    for good in ["`a::b`", "not yet: needs the administration", "every test of a refusal"] {
        assert_eq!(complaint(good), None, "{good}");
    }
}

#[test]
fn every_named_test_exists() {
    const REFERENCES_MIN: usize = 150;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the repository root");
    let table = fs::read_to_string(root.join("spec/conformance.md")).expect("the table can be read");
    let mut known = sources(&tests.join("tests"), "rs");
    for package in fs::read_dir(root.join("crates")).expect("the packages can be listed") {
        let package = package.expect("an entry can be read").path();
        for directory in ["tests", "src"].map(|name| package.join(name)).iter().filter(|path| path.is_dir()) {
            add(&mut known, sources(directory, "rs"));
        }
    }
    add(&mut known, sources(&root.join("interop/pika/tests"), "py"));
    let references = references(&table);
    assert!(references.len() >= REFERENCES_MIN, "only {} tests are named", references.len());
    let is_missing = |(file, test): &&(&str, &str)| {
        let text = known.get(*file).map_or("", String::as_str);
        !text.contains(&format!("fn {test}(")) && !text.contains(&format!("def {test}("))
    };
    let missing: Vec<_> = references.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "these tests do not exist: {missing:?}");
}
