//! `method/*.rs`: a struct a method, and the enum of them all.

use anyhow::Result;

use super::names::{camel, method_type, snake};
use crate::codegen::spec::{Class, Elementary, Field, Method, Sender, Spec};

/// The text of `method/any.rs`.
pub fn enum_file(spec: &Spec) -> String {
    let each = |line: &dyn Fn(&Class, &Method, &str) -> String| -> String {
        let methods = spec.classes.iter().flat_map(|class| class.methods.iter().map(move |method| (class, method)));
        methods.map(|(class, method)| line(class, method, &method_type(class, method)) + "\n").collect()
    };
    let modules: Vec<_> = spec.classes.iter().map(|class| class.name.as_str()).collect();
    let uses: String = modules.iter().map(|module| format!("use super::{module}::*;\n")).collect();
    let decodes: String = spec
        .classes
        .iter()
        .map(|class| format!("{} => super::{}::decode(method_id, arguments),\n", class.id, class.name))
        .collect();
    let variants = each(&|class, method, name| {
        format!("/// {}.{}\n{name}({name}{}),", class.name, method.name, lifetime(spec, method))
    });
    let ids = each(&|_, _, name| format!("Self::{name}(_) => {name}::IDS,"));
    let names = each(&|_, _, name| format!("Self::{name}(_) => {name}::NAME,"));
    let writes = each(&|_, _, name| format!("Self::{name}(method) => method.write_frame(channel, out),"));
    let contents: Vec<_> = spec
        .classes
        .iter()
        .flat_map(|class| class.methods.iter().filter(|m| m.content).map(move |m| method_type(class, m)))
        .map(|name| format!("Self::{name}(_)"))
        .collect();
    format!(
        "//! The enum of all methods.

        {uses}
        use super::MethodError;

        /// A method with its arguments, borrowed from the frame's payload.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Method<'a> {{
            {variants}
        }}

        impl<'a> Method<'a> {{
            /// Finds the method by its numbers and decodes its arguments.
            #[inline(never)]
            pub(super) fn decode_arguments(
                class_id: u16,
                method_id: u16,
                arguments: &'a [u8],
            ) -> Result<Self, MethodError> {{
                match class_id {{
                    {decodes}_ => Err(MethodError::Unknown {{ class_id, method_id }}),
                }}
            }}

            /// Class and method number.
            #[must_use]
            pub const fn ids(&self) -> (u16, u16) {{
                match self {{
                    {ids}
                }}
            }}

            /// The name in the protocol's text, such as `basic.publish`.
            #[must_use]
            pub const fn name(&self) -> &'static str {{
                match self {{
                    {names}
                }}
            }}

            /// Whether a content header and bodies follow.
            #[inline]
            #[must_use]
            pub const fn has_content(&self) -> bool {{
                matches!(self, {})
            }}

            /// Appends the whole method frame. A short string longer than 255 bytes is cut at 255.
            pub fn write_frame(&self, channel: u16, out: &mut Vec<u8>) {{
                match self {{
                    {writes}
                }}
            }}
        }}
        ",
        contents.join(" | "),
    )
}

/// The text of the file of one class.
pub fn class_file(spec: &Spec, class: &Class) -> Result<String> {
    let structs: Vec<_> = class.methods.iter().map(|method| method_code(spec, class, method)).collect::<Result<_>>()?;
    let arms: String = class
        .methods
        .iter()
        .map(|method| format!("{} => finish({}::parse(arguments)),\n", method.id, method_type(class, method)))
        .collect();
    Ok(format!(
        "//! The methods of class {0}.

        {imports}
        use super::{{Method, MethodError, finish}};

        /// Decodes the arguments of the method with this number.
        #[inline]
        pub(super) fn decode(method_id: u16, arguments: &[u8]) -> Result<Method<'_>, MethodError> {{
            match method_id {{
                {arms}_ => Err(MethodError::Unknown {{ class_id: {1}, method_id }}),
            }}
        }}

        {structs}",
        class.name,
        class.id,
        imports = imports(spec, class)?,
        structs = structs.concat(),
    ))
}

/// Only what the file uses: an unused import is a warning.
fn imports(spec: &Spec, class: &Class) -> Result<String> {
    let mut reads = vec!["Parsed".to_owned()];
    let mut writes = vec!["frame".to_owned()];
    let mut has_table = false;
    for method in &class.methods {
        for field in &method.fields {
            let elementary = spec.elementary(field)?;
            has_table |= elementary == Elementary::Table && !field.reserved;
            reads.push(read_function(elementary, method.content).to_owned());
            writes.push(put_function(elementary).to_owned());
        }
    }
    for names in [&mut reads, &mut writes] {
        names.sort();
        names.dedup();
    }
    let table = if has_table { "use crate::table::TableRef;\n" } else { "" };
    Ok(format!("use crate::read::{{{}}};\n{table}use crate::write::{{{}}};\n", reads.join(", "), writes.join(", ")))
}

fn method_code(spec: &Spec, class: &Class, method: &Method) -> Result<String> {
    let name = method_type(class, method);
    let generics = lifetime(spec, method);
    let anonymous = if generics.is_empty() { "" } else { "<'_>" };
    let (input, parsed) =
        if generics.is_empty() { ("&[u8]", "Parsed<'_, Self>") } else { ("&'a [u8]", "Parsed<'a, Self>") };
    let body = struct_fields(spec, method)?;
    let body = if body.is_empty() { ";".to_owned() } else { format!("{{\n{body}}}") };
    Ok(format!(
        "{doc}
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct {name}{generics} {body}

        impl{generics} {name}{generics} {{
            #[inline(always)]
            pub(super) fn parse(input: {input}) -> {parsed} {{
                {parse}
            }}
        }}

        impl {name}{anonymous} {{
            /// Class and method number.
            pub const IDS: (u16, u16) = ({class_id}, {method_id});

            /// The name in the protocol's text.
            pub const NAME: &'static str = \"{class_name}.{method_name}\";

            /// Appends the whole method frame. A short string longer than 255 bytes is cut at 255.
            pub fn write_frame(&self, channel: u16, out: &mut Vec<u8>) {{
                frame(Self::IDS, channel, out, |{out}| {{
                    {write}
                }});
            }}
        }}

        impl<'a> From<{name}{generics}> for Method<'a> {{
            #[inline]
            fn from(method: {name}{generics}) -> Self {{
                Self::{name}(method)
            }}
        }}

        ",
        doc = struct_doc(class, method),
        parse = parse_body(spec, method)?,
        class_id = class.id,
        method_id = method.id,
        class_name = class.name,
        method_name = method.name,
        out = if method.fields.is_empty() { "_" } else { "out" },
        write = write_body(spec, method)?,
    ))
}

fn struct_doc(class: &Class, method: &Method) -> String {
    let sender = match method.from {
        Sender::Client => "Sent by the client",
        Sender::Server => "Sent by the server",
        Sender::Both => "Sent by both sides",
    };
    let replies: Vec<_> =
        method.replies.iter().map(|reply| format!("[`{}{}`]", camel(&class.name), camel(reply))).collect();
    let answer = if replies.is_empty() { String::new() } else { format!("; answered by {}", replies.join(" or ")) };
    let content = if method.content { "; content follows" } else { "" };
    let extension = if method.extension { " RabbitMQ's extension." } else { "" };
    let title = format!("`{}.{}` ({}.{})", class.name, method.name, class.id, method.id);
    format!("/// {title}: {}\n///\n/// {sender}{answer}{content}.{extension}", method.doc)
}

fn struct_fields(spec: &Spec, method: &Method) -> Result<String> {
    let mut code = String::new();
    for field in method.fields.iter().filter(|field| !field.reserved) {
        let kind = match spec.elementary(field)? {
            Elementary::Bit => "bool",
            Elementary::Octet => "u8",
            Elementary::Short => "u16",
            Elementary::Long => "u32",
            Elementary::LongLong => "u64",
            Elementary::ShortStr if method.content => "&'a [u8]",
            Elementary::ShortStr => "&'a str",
            Elementary::LongStr => "&'a [u8]",
            Elementary::Table => "TableRef<'a>",
        };
        code += &format!("/// {}\npub {}: {kind},\n", spec.field_doc(field)?, snake(&field.name));
    }
    Ok(code)
}

fn parse_body(spec: &Spec, method: &Method) -> Result<String> {
    let mut steps = String::new();
    let mut values = String::new();
    for run in runs(spec, &method.fields)? {
        let (elementary, fields) = run;
        let read = read_function(elementary, method.content);
        let used = fields.iter().any(|field| !field.reserved);
        let bits = elementary == Elementary::Bit;
        let binding = match (used, bits) {
            (false, _) => "_".to_owned(),
            (true, true) => "bits".to_owned(),
            (true, false) => fields.iter().map(|field| snake(&field.name)).collect(),
        };
        steps += &format!("let (input, {binding}) = {read}(input)?;\n");
        for (position, field) in fields.iter().enumerate().filter(|(_, field)| !field.reserved) {
            let name = snake(&field.name);
            values += &if bits { format!("{name}: bits & {} != 0,\n", 1 << position) } else { format!("{name},\n") };
        }
    }
    let built = if values.is_empty() { "Self".to_owned() } else { format!("Self {{\n{values}}}") };
    Ok(format!("{steps}Ok((input, {built}))"))
}

fn write_body(spec: &Spec, method: &Method) -> Result<String> {
    let mut code = String::new();
    for (elementary, fields) in runs(spec, &method.fields)? {
        let put = put_function(elementary);
        let values: Vec<_> = fields
            .iter()
            .map(|field| match (field.reserved, elementary) {
                (false, Elementary::ShortStr) if !method.content => format!("self.{}.as_bytes()", snake(&field.name)),
                (false, _) => format!("self.{}", snake(&field.name)),
                (true, Elementary::Bit) => "false".to_owned(),
                (true, Elementary::ShortStr | Elementary::LongStr) => "b\"\"".to_owned(),
                (true, Elementary::Table) => "TableRef::EMPTY".to_owned(),
                (true, _) => "0".to_owned(),
            })
            .collect();
        let values = values.join(", ");
        let values = if elementary == Elementary::Bit { format!("[{values}]") } else { values };
        code += &format!("{put}(out, {values});\n");
    }
    Ok(code)
}

/// The fields in wire order, with consecutive bits together because they share an octet.
fn runs<'a>(spec: &Spec, fields: &'a [Field]) -> Result<Vec<(Elementary, Vec<&'a Field>)>> {
    let mut runs: Vec<(Elementary, Vec<&Field>)> = Vec::new();
    for field in fields {
        let elementary = spec.elementary(field)?;
        match runs.last_mut() {
            Some((Elementary::Bit, run)) if elementary == Elementary::Bit => run.push(field),
            _ => runs.push((elementary, vec![field])),
        }
    }
    Ok(runs)
}

fn lifetime(spec: &Spec, method: &Method) -> &'static str {
    let borrows = |field: &Field| {
        let elementary = spec.elementary(field);
        matches!(elementary, Ok(Elementary::ShortStr | Elementary::LongStr | Elementary::Table))
    };
    if method.fields.iter().any(|field| !field.reserved && borrows(field)) { "<'a>" } else { "" }
}

fn read_function(elementary: Elementary, content: bool) -> &'static str {
    match elementary {
        Elementary::Bit | Elementary::Octet => "octet",
        Elementary::Short => "short",
        Elementary::Long => "long",
        Elementary::LongLong => "longlong",
        Elementary::ShortStr if content => "shortstr",
        Elementary::ShortStr => "shortstr_utf8",
        Elementary::LongStr => "longstr",
        Elementary::Table => "table",
    }
}

fn put_function(elementary: Elementary) -> &'static str {
    match elementary {
        Elementary::Bit => "put_bits",
        Elementary::Octet => "put_octet",
        Elementary::Short => "put_short",
        Elementary::Long => "put_long",
        Elementary::LongLong => "put_longlong",
        Elementary::ShortStr => "put_shortstr",
        Elementary::LongStr => "put_longstr",
        Elementary::Table => "put_table",
    }
}
