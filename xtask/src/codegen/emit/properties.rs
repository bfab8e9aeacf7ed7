//! `properties/fields.rs`: the fields of basic content properties.

use super::names::{camel, snake};
use crate::codegen::spec::{Elementary, Property, Spec};

/// The text of the file.
pub fn file(spec: &Spec) -> String {
    format!(
        "//! The properties by name: the enum, the getters over raw bytes, and the owned struct.

        use super::{{FieldKind, PropertiesRef}};
        use crate::table::{{FieldTable, TableError, TableRef}};
        use crate::write::{{put_longlong, put_octet, put_shortstr}};

        {}{}{}{}",
        property_enum(spec),
        getters(spec),
        owned_struct(spec),
        owned_conversions(spec),
    )
}

fn property_enum(spec: &Spec) -> String {
    let variants = each(spec, |p| format!("/// {}\n{} = {},", p.doc, camel(&p.name), p.bit));
    let names = each(spec, |p| format!("Self::{} => \"{}\",", camel(&p.name), p.name));
    let kinds: String = [Elementary::Table, Elementary::Octet, Elementary::LongLong]
        .into_iter()
        .map(|elementary| (kind_name(elementary), mask_of(spec, elementary)))
        .map(|(kind, mask)| format!("if flag & 0b{mask:016b} != 0 {{ return FieldKind::{kind}; }}\n"))
        .collect();
    format!(
        "/// A property of basic content. The value is its bit in the flags word.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum Property {{
            {variants}
        }}

        impl Property {{
            /// The flags word in which only this property is present.
            #[inline]
            #[must_use]
            pub const fn flag(self) -> u16 {{
                1 << self as u8
            }}

            /// The name in the protocol's text, such as `content-type`.
            #[must_use]
            pub const fn name(self) -> &'static str {{
                match self {{
                    {names}
                }}
            }}
        }}

        /// How the property of a single flag looks on the wire. Most are short strings.
        #[inline]
        pub(super) const fn kind_of(flag: u16) -> FieldKind {{
            {kinds}FieldKind::ShortStr
        }}
        "
    )
}

fn getters(spec: &Spec) -> String {
    let getters = each(spec, |p| {
        let (result, read) = match p.elementary {
            Elementary::Octet => ("u8", "octet"),
            Elementary::LongLong => ("u64", "longlong"),
            Elementary::Table => ("TableRef<'a>", "table"),
            _ => ("&'a [u8]", "shortstr"),
        };
        format!(
            "/// {}\n#[must_use]\npub fn {}(self) -> Option<{result}> {{ self.{read}(Property::{}) }}\n",
            p.doc,
            snake(&p.name),
            camel(&p.name)
        )
    });
    format!("impl<'a> PropertiesRef<'a> {{\n{getters}}}\n\n")
}

fn owned_struct(spec: &Spec) -> String {
    let fields = each(spec, |p| {
        let kind = match p.elementary {
            Elementary::Octet => "u8",
            Elementary::LongLong => "u64",
            Elementary::Table => "FieldTable",
            _ => "Box<[u8]>",
        };
        format!("/// {}\npub {}: Option<{kind}>,", p.doc, snake(&p.name))
    });
    format!(
        "/// Properties of basic content that own their fields.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Properties {{
            {fields}
        }}

        "
    )
}

fn owned_conversions(spec: &Spec) -> String {
    let flags: Vec<_> = spec
        .properties
        .iter()
        .map(|p| format!("flag_if(self.{}.is_some(), Property::{})", snake(&p.name), camel(&p.name)))
        .collect();
    let writes = each(spec, |p| {
        let (put, pattern) = match p.elementary {
            Elementary::Octet => ("put_octet(out, *value)", "value"),
            Elementary::LongLong => ("put_longlong(out, *value)", "value"),
            Elementary::Table => ("value.write_with_len(out)", "value"),
            _ => ("put_shortstr(out, value)", "value"),
        };
        format!("if let Some({pattern}) = &self.{} {{ {put}; }}", snake(&p.name))
    });
    let reads = each(spec, |p| {
        let convert = match p.elementary {
            Elementary::Octet | Elementary::LongLong => "",
            Elementary::Table => ".map(|table| table.decode()).transpose()?",
            _ => ".map(Box::from)",
        };
        format!("{0}: properties.{0}(){convert},", snake(&p.name))
    });
    format!(
        "impl Properties {{
            /// The flags word that announces the fields that are present.
            #[must_use]
            pub fn flags(&self) -> u16 {{
                {}
            }}

            /// Appends flags and fields. A short string longer than 255 bytes is cut at 255.
            pub fn encode(&self, out: &mut Vec<u8>) {{
                out.extend_from_slice(&self.flags().to_be_bytes());
                {writes}
            }}
        }}

        impl TryFrom<PropertiesRef<'_>> for Properties {{
            type Error = TableError;

            fn try_from(properties: PropertiesRef<'_>) -> Result<Self, TableError> {{
                Ok(Self {{
                    {reads}
                }})
            }}
        }}

        fn flag_if(present: bool, property: Property) -> u16 {{
            if present {{ property.flag() }} else {{ 0 }}
        }}
        ",
        flags.join(" | "),
    )
}

fn each(spec: &Spec, line: impl Fn(&Property) -> String) -> String {
    spec.properties.iter().map(|property| line(property) + "\n").collect()
}

/// The flags of all properties of one type.
fn mask_of(spec: &Spec, elementary: Elementary) -> u16 {
    spec.properties.iter().filter(|p| p.elementary == elementary).fold(0, |mask, p| mask | 1 << p.bit)
}

fn kind_name(elementary: Elementary) -> &'static str {
    match elementary {
        Elementary::Octet => "Octet",
        Elementary::LongLong => "LongLong",
        Elementary::Table => "Table",
        _ => "ShortStr",
    }
}
