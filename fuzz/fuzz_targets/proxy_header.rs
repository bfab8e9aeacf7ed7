//! What a proxy says before a client does, in pieces as the server asks for them.
#![no_main]

// The server with all that it needs would take minutes to build: this is all of it that is wanted.
#[allow(dead_code, reason = "others have their limits there too")]
#[rustfmt::skip]
#[path = "../../crates/server/src/limits.rs"]
mod limits;
#[allow(dead_code, reason = "reading from a socket is left out")]
#[rustfmt::skip]
#[path = "../../crates/server/src/proxy_protocol.rs"]
mod proxy_protocol;

use proxy_protocol::{Step, step};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut len = 0;
    while let Ok(Step::Need(more)) = step(&bytes[..len]) {
        assert!(more > 0, "it would ask for ever");
        len += more;
        assert!(len <= 16 + limits::PROXY_HEADER_BYTES_MAX, "it asks for more than it may");
        if len > bytes.len() {
            return;
        }
    }
    let _ = step(bytes);
});
