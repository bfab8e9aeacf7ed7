//! The spec file as Rust values, checked for what the type system does not catch.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The whole file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    pub protocol: Protocol,
    pub frame_types: BTreeMap<String, u8>,
    pub domains: BTreeMap<String, Domain>,
    #[serde(rename = "reply-code")]
    pub reply_codes: Vec<ReplyCode>,
    #[serde(rename = "property")]
    pub properties: Vec<Property>,
    #[serde(rename = "class")]
    pub classes: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protocol {
    pub major: u8,
    pub minor: u8,
    pub revision: u8,
    pub frame_end: u8,
}

/// A meaning over an elementary type.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Domain {
    #[serde(rename = "type")]
    pub elementary: Elementary,
    pub doc: String,
}

/// What a field looks like on the wire.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Elementary {
    Bit,
    Octet,
    Short,
    Long,
    LongLong,
    ShortStr,
    LongStr,
    Table,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplyCode {
    pub name: String,
    pub code: u16,
    pub closes: Closes,
    pub doc: String,
}

/// What an error with this code ends.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Closes {
    Nothing,
    Channel,
    Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Property {
    pub name: String,
    pub bit: u8,
    #[serde(rename = "type")]
    pub elementary: Elementary,
    pub doc: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Class {
    pub name: String,
    pub id: u16,
    #[serde(rename = "method")]
    pub methods: Vec<Method>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Method {
    pub name: String,
    pub id: u16,
    pub from: Sender,
    /// The methods that answer this one; none when it is asynchronous.
    #[serde(default)]
    pub replies: Vec<String>,
    /// A content header and bodies follow.
    #[serde(default)]
    pub content: bool,
    /// RabbitMQ's addition to 0-9-1.
    #[serde(default)]
    pub extension: bool,
    pub doc: String,
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// Who may send a method.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sender {
    Client,
    Server,
    Both,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Field {
    pub name: String,
    /// A domain, or an elementary type by its own name.
    pub domain: String,
    /// On the wire only: written empty, skipped on input.
    #[serde(default)]
    pub reserved: bool,
    pub doc: Option<String>,
}

impl Spec {
    /// Reads and checks the file.
    pub fn parse(text: &str) -> Result<Self> {
        let spec: Self = toml::from_str(text)?;
        spec.check()?;
        Ok(spec)
    }

    /// The elementary type of a field.
    pub fn elementary(&self, field: &Field) -> Result<Elementary> {
        if let Some(domain) = self.domains.get(&field.domain) {
            return Ok(domain.elementary);
        }
        Elementary::from_name(&field.domain).with_context(|| format!("unknown domain {}", field.domain))
    }

    /// What the field means: its own words, else those of its domain.
    pub fn field_doc<'a>(&'a self, field: &'a Field) -> Result<&'a str> {
        let own = field.doc.as_deref();
        let doc = own.or_else(|| self.domains.get(&field.domain).map(|domain| domain.doc.as_str()));
        doc.with_context(|| format!("field {} has no doc", field.name))
    }

    fn check(&self) -> Result<()> {
        unique("class id", self.classes.iter().map(|class| class.id))?;
        unique("reply code", self.reply_codes.iter().map(|code| code.code))?;
        ensure!(self.properties.is_sorted_by(|a, b| a.bit > b.bit), "properties are not in wire order");
        ensure!(self.properties.iter().all(|p| (2..16).contains(&p.bit)), "property bits go from 15 to 2");
        ensure!(self.properties.iter().all(|p| p.elementary != Elementary::Bit), "a property cannot be a bit");
        for class in &self.classes {
            unique("method id", class.methods.iter().map(|method| method.id))
                .with_context(|| format!("class {}", class.name))?;
            for method in &class.methods {
                self.check_method(class, method).with_context(|| format!("{}.{}", class.name, method.name))?;
            }
        }
        Ok(())
    }

    fn check_method(&self, class: &Class, method: &Method) -> Result<()> {
        for reply in &method.replies {
            ensure!(class.methods.iter().any(|other| other.name == *reply), "reply {reply} is not in the class");
        }
        let mut bits_in_a_row = 0;
        for field in &method.fields {
            let is_bit = self.elementary(field)? == Elementary::Bit;
            bits_in_a_row = if is_bit { bits_in_a_row + 1 } else { 0 };
            ensure!(bits_in_a_row <= 8, "more than 8 bits in a row are not implemented");
        }
        Ok(())
    }
}

impl Elementary {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "bit" => Self::Bit,
            "octet" => Self::Octet,
            "short" => Self::Short,
            "long" => Self::Long,
            "longlong" => Self::LongLong,
            "shortstr" => Self::ShortStr,
            "longstr" => Self::LongStr,
            "table" => Self::Table,
            _ => return None,
        })
    }
}

fn unique(what: &str, values: impl Iterator<Item = u16>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            bail!("{what} {value} occurs twice");
        }
    }
    Ok(())
}
