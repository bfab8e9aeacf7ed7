//! What the tests of the store on a simulated disk share: the model, a store with its model, and the reading back.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod content;
pub mod driver;
pub mod inspect;
pub mod log;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use leveret_store::options::Options;
use leveret_store::sim::Random;

/// The wall clock stands still.
pub const NOW_MS: u64 = 1_700_000_000_000;

/// Sizes so small that a few dozen operations see files roll over, messages move and segments go.
pub fn small_options(random: &mut Random) -> Options {
    let journal_file_bytes = [4096, 8192, 16384][random.below(3) as usize];
    Options {
        journal_file_bytes,
        journal_files_max: 1 + random.below(3) as usize,
        segment_bytes: 1024 + random.below(8192),
        forward_bytes_max: [0, 300, 2000, 1 << 20][random.below(4) as usize],
        block_bytes_max: 512 + random.below(journal_file_bytes - 512) as usize,
        disk_free_min_bytes: 0,
        now_ms: || NOW_MS,
        ..Options::default()
    }
}

/// Counts calls of `on_failure`.
pub fn count_failures(options: &mut Options) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    options.on_failure = Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    count
}
