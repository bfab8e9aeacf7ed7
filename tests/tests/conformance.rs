//! The table of behaviours names only tests that exist.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The sources of the tests below a directory: file or folder name to text.
fn sources(directory: &Path, extension: &str) -> HashMap<String, String> {
    let mut sources = HashMap::new();
    for entry in fs::read_dir(directory).expect("the directory of the tests can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            let text: String = self::sources(&path, extension).into_values().collect();
            sources.insert(name, text);
        } else if path.extension().is_some_and(|found| found == extension) {
            sources.insert(name, fs::read_to_string(&path).expect("a source can be read"));
        }
    }
    sources
}

/// Every `file::test` between backquotes.
fn references(table: &str) -> Vec<(&str, &str)> {
    table.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once("::")).collect()
}

#[test]
fn every_named_test_exists() {
    const REFERENCES_MIN: usize = 150;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the repository root");
    let table = fs::read_to_string(root.join("spec/conformance.md")).expect("the table can be read");
    let mut known = sources(&tests.join("tests"), "rs");
    for directory in ["crates/leveret/tests", "crates/session/tests"] {
        for (name, text) in sources(&root.join(directory), "rs") {
            // A session's test may have the name of a test from outside.
            known.entry(name).or_default().push_str(&text);
        }
    }
    known.extend(sources(&root.join("interop/pika/tests"), "py"));
    let references = references(&table);
    assert!(references.len() >= REFERENCES_MIN, "only {} tests are named", references.len());
    let is_missing = |(file, test): &&(&str, &str)| {
        let text = known.get(*file).map_or("", String::as_str);
        !text.contains(&format!("fn {test}(")) && !text.contains(&format!("def {test}("))
    };
    let missing: Vec<_> = references.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "these tests do not exist: {missing:?}");
}
