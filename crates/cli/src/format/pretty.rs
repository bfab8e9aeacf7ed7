//! Drawn tables.

use std::fmt::Write as _;

use super::table::cell;
use crate::output::Rows;
use crate::term::Term;

/// A table with lines between its cells.
pub(super) fn rows(list: &Rows) -> String {
    if list.rows.is_empty() {
        return String::new();
    }
    let cells: Vec<Vec<String>> = list.rows.iter().map(|row| row.iter().map(drawn).collect()).collect();
    draw(&list.columns, &cells)
}

/// A cell: here lists have no brackets.
fn drawn(value: &Term) -> String {
    match value {
        Term::List(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => cell(other),
    }
}

fn draw(header: &[String], cells: &[Vec<String>]) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let widest = cells.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
            widest.unwrap_or_default().max(width(name))
        })
        .collect();
    let mut text = border(&widths, '┌', '┬', '┐');
    push_row(&mut text, header, &widths);
    for row in cells {
        text.push_str(&border(&widths, '├', '┼', '┤'));
        push_row(&mut text, row, &widths);
    }
    text.push_str(&border(&widths, '└', '┴', '┘'));
    text
}

fn border(widths: &[usize], left: char, middle: char, right: char) -> String {
    let bars: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
    format!("{left}{}{right}\n", bars.join(&middle.to_string()))
}

fn push_row(text: &mut String, row: &[String], widths: &[usize]) {
    for (cell, &wide) in row.iter().zip(widths) {
        let _ = write!(text, "│ {cell}{} ", " ".repeat(wide.saturating_sub(width(cell))));
    }
    text.push_str("│\n");
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}
