//! Comma separated values, each in quotes.

use std::fmt::Write as _;

use super::table::cell;
use crate::output::Rows;

pub(super) fn rows(list: &Rows, has_header: bool) -> String {
    let mut text = String::new();
    if list.rows.is_empty() {
        return text;
    }
    if has_header {
        let _ = writeln!(text, "{}", line(list.columns.iter().cloned()));
    }
    for row in &list.rows {
        let _ = writeln!(text, "{}", line(row.iter().map(cell)));
    }
    text
}

fn line(values: impl Iterator<Item = String>) -> String {
    values.map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect::<Vec<_>>().join(",")
}
