//! `reply_code.rs`: the reply codes.

use super::names::{camel, screaming};
use crate::codegen::spec::{Closes, ReplyCode, Spec};

/// The text of the file.
pub fn file(spec: &Spec) -> String {
    let each = |line: &dyn Fn(&ReplyCode, &str) -> String| -> String {
        spec.reply_codes.iter().map(|code| line(code, &camel(&code.name)) + "\n").collect()
    };
    let variants = each(&|code, name| format!("/// {} ({})\n{name} = {},", code.doc, effect(code), code.code));
    let names = each(&|code, name| format!("Self::{name} => \"{}\",", screaming(&code.name)));
    let from = each(&|code, name| format!("{} => Some(Self::{name}),", code.code));
    let hard: Vec<_> = spec.reply_codes.iter().filter(|code| code.closes == Closes::Connection).collect();
    let hard: Vec<_> = hard.iter().map(|code| format!("Self::{}", camel(&code.name))).collect();
    format!(
        "//! Reply codes: why a channel or a connection is closed, or a message returned.

        /// A reply code. The values are those on the wire.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u16)]
        pub enum ReplyCode {{
            {variants}
        }}

        impl ReplyCode {{
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u16 {{
                self as u16
            }}

            /// The name that opens RabbitMQ's reply texts, such as `NOT_FOUND`.
            #[must_use]
            pub const fn name(self) -> &'static str {{
                match self {{
                    {names}
                }}
            }}

            /// Whether an error with this code closes the connection rather than a channel.
            #[must_use]
            pub const fn is_hard(self) -> bool {{
                matches!(self, {})
            }}

            /// The code with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {{
                match code {{
                    {from}_ => None,
                }}
            }}
        }}
        ",
        hard.join(" | "),
    )
}

fn effect(code: &ReplyCode) -> &'static str {
    match code.closes {
        Closes::Nothing => "no error",
        Closes::Channel => "closes the channel",
        Closes::Connection => "closes the connection",
    }
}
