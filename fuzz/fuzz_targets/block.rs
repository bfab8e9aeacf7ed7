#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leveret_store::sim::fuzz::block(bytes));
