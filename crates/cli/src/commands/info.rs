//! Columns of lists: which were asked for, and what their values are.

use serde_json::Value;

use crate::call::Call;
use crate::failure::{Failure, Kind};
use crate::term::Term;

/// The columns that were asked for, or these if none were.
pub(super) fn columns<'a>(call: &'a Call, known: &[&str], usual: &[&'a str]) -> Result<Vec<&'a str>, Failure> {
    let asked = call.columns();
    let unknown: Vec<&str> = asked.iter().copied().filter(|column| !known.contains(column)).collect();
    if !unknown.is_empty() {
        return Err(call.misused(Kind::Usage, &format!("Info key(s) {} are not supported", unknown.join(","))));
    }
    Ok(if asked.is_empty() { usual.to_vec() } else { asked })
}

/// The member of an object behind a path of names with dots.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

/// A member as a text; empty if it is none.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// A member as a whole number; 0 if it is none.
pub(super) fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

/// Texts of a member that is a list.
pub(super) fn texts<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    at(value, path).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What Erlang would call the process behind a thing: made of the node's name and a number that stands for the thing's name.
/// Scripts take it from one command and give it to another.
pub(super) fn pid(node: &str, name: &str) -> String {
    // FNV-1a: all that counts is that the same name gives the same number.
    let number = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("<{node}.1.{number}.0>")
}

/// A value of a list; objects are AMQP tables.
pub(super) fn term(value: &Value) -> Term {
    Term::table(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_pid() {
        assert_eq!(pid("n@h", "a"), pid("n@h", "a"));
        assert_ne!(pid("n@h", "a"), pid("n@h", "b"));
        assert!(pid("n@h", "a").starts_with("<n@h.1."));
    }
}
