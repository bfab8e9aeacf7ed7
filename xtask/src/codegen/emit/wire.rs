//! `wire.rs`: the constants of the envelope.

use super::names::{camel, screaming};
use crate::codegen::spec::Spec;

/// The text of the file.
pub fn file(spec: &Spec) -> String {
    let protocol = &spec.protocol;
    let mut kinds: Vec<_> = spec.frame_types.iter().collect();
    kinds.sort_by_key(|(_, number)| **number);
    let variants: String =
        kinds.iter().map(|(name, number)| format!("/// A {name} frame.\n{} = {number},\n", camel(name))).collect();
    let arms: String =
        kinds.iter().map(|(name, number)| format!("{number} => Some(Self::{}),\n", camel(name))).collect();
    format!(
        "/// What a client sends first: the protocol's name and version.
        pub const PROTOCOL_HEADER: [u8; 8] = *b\"AMQP\\x00\\x{:02x}\\x{:02x}\\x{:02x}\";

        /// The octet that ends every frame.
        pub const {}: u8 = 0x{:02X};

        /// What a frame carries. The values are those on the wire.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum FrameKind {{
            {variants}
        }}

        impl FrameKind {{
            /// The kind with this number on the wire.
            #[inline]
            #[must_use]
            pub const fn from_u8(number: u8) -> Option<Self> {{
                match number {{
                    {arms}_ => None,
                }}
            }}
        }}
        ",
        protocol.major,
        protocol.minor,
        protocol.revision,
        screaming("frame-end"),
        protocol.frame_end,
    )
}
