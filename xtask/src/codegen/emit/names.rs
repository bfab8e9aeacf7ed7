//! Names of the spec as Rust names.

use crate::codegen::spec::{Class, Method};

/// `recover-async` -> `RecoverAsync`
pub fn camel(name: &str) -> String {
    name.split('-').map(capitalised).collect()
}

/// `no-ack` -> `no_ack`; a keyword gets a trailing underscore.
pub fn snake(name: &str) -> String {
    let snake = name.replace('-', "_");
    if matches!(snake.as_str(), "type" | "return" | "self") { format!("{snake}_") } else { snake }
}

/// `not-found` -> `NOT_FOUND`
pub fn screaming(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

/// `queue`, `declare-ok` -> `QueueDeclareOk`
pub fn method_type(class: &Class, method: &Method) -> String {
    camel(&class.name) + &camel(&method.name)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
