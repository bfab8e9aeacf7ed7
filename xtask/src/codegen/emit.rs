//! The Rust text of the generated files, not yet formatted.

mod methods;
mod names;
mod properties;
mod reply_codes;
mod samples;
mod wire;

use anyhow::Result;

use super::spec::Spec;

/// Every generated file: its path below the codec's folder, and its text.
pub fn files(spec: &Spec) -> Result<Vec<(String, String)>> {
    let mut files = vec![
        ("src/wire.rs".to_owned(), wire::file(spec)),
        ("src/reply_code.rs".to_owned(), reply_codes::file(spec)),
        ("src/properties/fields.rs".to_owned(), properties::file(spec)),
        ("src/method/any.rs".to_owned(), methods::enum_file(spec)),
        ("tests/every_method/mod.rs".to_owned(), samples::file(spec)?),
    ];
    for class in &spec.classes {
        files.push((format!("src/method/{}.rs", class.name), methods::class_file(spec, class)?));
    }
    Ok(files)
}
