//! `tests/every_method/mod.rs`: one of each method, for tests that must not forget one.

use anyhow::Result;

use super::names::{method_type, snake};
use crate::codegen::spec::{Class, Elementary, Method, Spec};

/// The text of the file.
pub fn file(spec: &Spec) -> Result<String> {
    let calls: String =
        spec.classes.iter().map(|class| format!("methods.extend({}_methods(pool));\n", class.name)).collect();
    let functions: Vec<_> = spec.classes.iter().map(|class| class_function(spec, class)).collect::<Result<_>>()?;
    Ok(format!(
        "//! One of each method.

        use leveret_codec::method::*;

        use crate::pool::Pool;

        /// One of each method, with fields from the pool.
        pub fn every_method(pool: &Pool) -> Vec<Method<'_>> {{
            let mut methods = Vec::new();
            {calls}methods
        }}

        {}",
        functions.concat(),
    ))
}

fn class_function(spec: &Spec, class: &Class) -> Result<String> {
    let values: Vec<_> = class.methods.iter().map(|method| value(spec, class, method)).collect::<Result<_>>()?;
    let takes_fields = values.iter().any(|value| value.contains("pool."));
    let pool = if takes_fields { "pool" } else { "_" };
    Ok(format!("fn {}_methods({pool}: &Pool) -> Vec<Method<'_>> {{ vec![{}] }}\n\n", class.name, values.join(", "),))
}

fn value(spec: &Spec, class: &Class, method: &Method) -> Result<String> {
    let mut fields = String::new();
    for field in method.fields.iter().filter(|field| !field.reserved) {
        let source = match spec.elementary(field)? {
            Elementary::Bit => "bit",
            Elementary::Octet => "octet",
            Elementary::Short => "short",
            Elementary::Long => "long",
            Elementary::LongLong => "longlong",
            Elementary::ShortStr if method.content => "shortstr",
            Elementary::ShortStr => "text",
            Elementary::LongStr => "longstr",
            Elementary::Table => "table",
        };
        fields += &format!("{}: pool.{source}(), ", snake(&field.name));
    }
    let name = method_type(class, method);
    Ok(if fields.is_empty() { format!("{name}.into()") } else { format!("{name} {{ {fields} }}.into()") })
}
