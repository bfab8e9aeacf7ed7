//! rabbitmq.conf, and terms of Erlang as in advanced.config: from the text to the settings.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use leveret_config::{Environment, Sources, load};

/// Files in memory, a pair for each process.
static FILES: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let dir = PathBuf::from("/dev/shm");
    ["conf", "config"].map(|end| dir.join(format!("leveret-fuzz-{}.{end}", std::process::id())))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Other files are read as well: whatever the machine has would be a part of the outcome.
    if bytes.windows(7).any(|word| word.eq_ignore_ascii_case(b"include")) || bytes.contains(&b'/') {
        return;
    }
    for file in &*FILES {
        std::fs::write(file, bytes).unwrap();
        let sources = Sources {
            environment: Environment::new([]),
            files: vec![file.clone()],
            flags: Vec::new(),
            etc: "/nonexistent".into(),
            own: "/nonexistent".into(),
            strict: false,
        };
        if let Err(error) = load(&sources) {
            let _ = error.to_string();
        }
    }
});
