//! Tables of `rabbitmqadmin`.

use serde_json::{Value, json};

use super::Generation;
use super::options::Options;

/// Columns that come first where nobody says which are shown.
const PROMOTED: [&str; 7] = ["vhost", "name", "type", "source", "destination", "destination_type", "routing_key"];
/// As wide as the lines between the things of the format `long`.
const LINE: usize = 80;

/// A list in the format that is asked for.
pub(super) fn list(found: &Value, columns: &[String], json_members: &[&str], options: &Options) -> String {
    let format = options.format.as_deref().unwrap_or("table");
    match format {
        "raw_json" => return format!("{found}\n"),
        "pretty_json" => {
            return serde_json::to_string_pretty(&sorted(found)).map(|text| format!("{text}\n")).unwrap_or_default();
        }
        _ => {}
    }
    let depth = if columns.is_empty() {
        options.depth.as_ref().and_then(|depth| depth.parse().ok()).unwrap_or(1)
    } else {
        usize::MAX
    };
    let items: Vec<Vec<(String, String)>> = found
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| {
            let mut cells = Vec::new();
            flatten(item, "", 1, depth, json_members, &mut cells);
            if options.generation == Generation::Second {
                add_objects(item, &mut cells);
            }
            cells
        })
        .collect();
    let columns = if columns.is_empty() { all_columns(&items) } else { columns.to_vec() };
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()).collect();
    if options.generation == Generation::Second {
        return if options.is_plain { plain(&rows) } else { rounded(&columns, &rows) };
    }
    if rows.is_empty() {
        return if options.is_quiet { String::new() } else { "No items\n".to_owned() };
    }
    match format {
        "tsv" => tsv(&columns, &rows, !options.is_quiet),
        "long" => long(&columns, &rows),
        "kvp" => rows.iter().map(|row| kvp(&columns, row)).collect(),
        "bash" => bash(&columns, &rows),
        _ => ascii(&columns, &rows),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let members = names.into_iter().filter_map(|name| Some((name.clone(), sorted(members.get(name)?))));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The members of an item by their paths, those of members that are objects too.
fn flatten(
    item: &Value,
    prefix: &str,
    level: usize,
    depth: usize,
    json_members: &[&str],
    cells: &mut Vec<(String, String)>,
) {
    for (name, value) in item.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(_) if json_members.contains(&name.as_str()) => cells.push((path, spaced(value))),
            Value::Object(_) if level < depth => flatten(value, &path, level + 1, depth, json_members, cells),
            Value::Object(_) => {}
            other => cells.push((path, shown(other))),
        }
    }
}

/// Members that are objects, each as a cell: the second tool has columns for them.
fn add_objects(item: &Value, cells: &mut Vec<(String, String)>) {
    let objects = item.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_object()?)));
    cells.extend(objects.map(|(name, members)| {
        let pairs: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        (name.clone(), pairs.join(", "))
    }));
}

/// JSON with spaces, as Python writes it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A value as a cell.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => spaced(other),
    }
}

/// The member behind a path with dots.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

fn cell(item: &[(String, String)], column: &str) -> String {
    item.iter().find(|(path, _)| path == column).map(|(_, cell)| cell.clone()).unwrap_or_default()
}

/// All there are: some that say what a thing is, and then by name.
fn all_columns(items: &[Vec<(String, String)>]) -> Vec<String> {
    let mut columns: Vec<String> = items.iter().flatten().map(|(path, _)| path.clone()).collect();
    columns.sort_by_key(|column| {
        (PROMOTED.iter().position(|name| name == column).unwrap_or(PROMOTED.len()), column.clone())
    });
    columns.dedup();
    columns
}

fn widths(columns: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let wide = |text: &String| text.chars().count();
    let of_column = |(at, name): (usize, &String)| {
        rows.iter().filter_map(|row| row.get(at)).map(wide).max().unwrap_or_default().max(wide(name))
    };
    columns.iter().enumerate().map(of_column).collect()
}

fn ascii(columns: &[String], rows: &[Vec<String>]) -> String {
    let widths = widths(columns, rows);
    let bar: String = widths.iter().map(|width| format!("{}+", "-".repeat(width + 2))).collect();
    let bar = format!("+{bar}\n");
    let head: String = columns.iter().zip(&widths).map(|(name, width)| format!(" {name:^width$} |")).collect();
    let body: String = rows
        .iter()
        .map(|row| {
            format!(
                "|{}\n",
                row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |")).collect::<String>()
            )
        })
        .collect();
    format!("{bar}|{head}\n{bar}{body}{bar}")
}

fn tsv(columns: &[String], rows: &[Vec<String>], has_header: bool) -> String {
    let head = if has_header { format!("{}\n", columns.join("\t")) } else { String::new() };
    let body: String = rows.iter().map(|row| format!("{}\n", row.join("\t"))).collect();
    head + &body
}

fn long(columns: &[String], rows: &[Vec<String>]) -> String {
    let line = format!("\n{}\n\n", "-".repeat(LINE));
    let width = columns.iter().map(|column| column.chars().count()).max().unwrap_or_default();
    let item = |row: &Vec<String>| {
        let lines = columns.iter().zip(row).map(|(name, cell)| format!("{name:>width$}: {cell}\n")).collect::<String>();
        format!("{lines}{line}")
    };
    line.clone() + &rows.iter().map(item).collect::<String>()
}

fn kvp(columns: &[String], row: &[String]) -> String {
    let pairs: Vec<String> = columns.iter().zip(row).map(|(name, cell)| format!("{name}=\"{cell}\"")).collect();
    format!("{}\n", pairs.join(" "))
}

fn bash(columns: &[String], rows: &[Vec<String>]) -> String {
    let Some(at) = columns.iter().position(|column| column == "name") else { return String::new() };
    let names: Vec<&str> = rows.iter().filter_map(|row| row.get(at)).map(String::as_str).collect();
    format!("{}\n", names.join(" "))
}

/// The second tool's table.
fn rounded(columns: &[String], rows: &[Vec<String>]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|name| if name == "type" { "queue_type".to_owned() } else { name.replace('-', "_") })
        .collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| lower(cell)).collect()).collect();
    let widths = widths(&columns, &rows);
    let bar = |left: &str, middle: &str, right: &str| {
        let bars: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", bars.join(middle))
    };
    let line = |row: &[String]| {
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} │")).collect();
        format!("│{cells}\n")
    };
    let body: String = rows.iter().map(|row| line(row)).collect();
    let middle = if rows.is_empty() { String::new() } else { bar("├", "┼", "┤") };
    format!("{}{}{middle}{body}{}", bar("╭", "┬", "╮"), line(&columns), bar("╰", "┴", "╯"))
}

/// The second tool writes yes and no in small letters.
fn lower(cell: &str) -> String {
    match cell {
        "True" => "true".to_owned(),
        "False" => "false".to_owned(),
        other => other.to_owned(),
    }
}

/// Rows for scripts: no header, two spaces between columns.
fn plain(rows: &[Vec<String>]) -> String {
    let widths = widths(&vec![String::new(); rows.first().map(Vec::len).unwrap_or_default()], rows);
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", lower(cell))).collect();
        format!("{} \n", cells.join("  "))
    };
    rows.iter().map(line).collect()
}

/// Values by name.
pub(super) fn pairs(pairs: &[(String, String)], options: &Options) -> String {
    let items: Vec<Value> = pairs.iter().map(|(name, value)| json!({"key": name, "value": value})).collect();
    list(&Value::Array(items), &["key".to_owned(), "value".to_owned()], &[], options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_drawn_as_the_first_tool_does() {
        let found = json!([{"name": "q1", "messages": 1}, {"name": "longer"}]);
        let columns = ["name".to_owned(), "messages".to_owned()];
        let expected = "+--------+----------+\n|  name  | messages |\n+--------+----------+\n\
                        | q1     | 1        |\n| longer |          |\n+--------+----------+\n";
        assert_eq!(list(&found, &columns, &[], &Options::default()), expected);
        assert_eq!(list(&json!([]), &columns, &[], &Options::default()), "No items\n");
    }

    #[test]
    fn other_formats_are_for_scripts() {
        let found = json!([{"name": "q1", "on": true, "deep": {"a": 1}}]);
        let columns = ["name".to_owned(), "on".to_owned(), "deep.a".to_owned()];
        let with = |format: &str| Options { format: Some(format.to_owned()), ..Options::default() };
        assert_eq!(list(&found, &columns, &[], &with("tsv")), "name\ton\tdeep.a\nq1\tTrue\t1\n");
        assert_eq!(list(&found, &columns, &[], &with("kvp")), "name=\"q1\" on=\"True\" deep.a=\"1\"\n");
        assert_eq!(list(&found, &columns, &[], &with("bash")), "q1\n");
        assert_eq!(list(&found, &columns, &[], &with("raw_json")), format!("{found}\n"));
        let plain = Options { generation: Generation::Second, is_plain: true, ..Options::default() };
        assert_eq!(list(&found, &columns, &[], &plain), "q1  true  1 \n");
    }

    #[test]
    fn columns_that_say_what_it_is_come_first() {
        let found = json!([{"ack": 1, "name": "n", "vhost": "/", "deep": {"x": 1}}]);
        let with = |depth: &str| Options {
            format: Some("tsv".to_owned()),
            depth: Some(depth.to_owned()),
            ..Options::default()
        };
        assert!(list(&found, &[], &[], &with("1")).starts_with("vhost\tname\tack\n"));
        assert!(list(&found, &[], &[], &with("2")).starts_with("vhost\tname\tack\tdeep.x\n"));
    }
}
