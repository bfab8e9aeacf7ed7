//! The time of the hot functions, each named by what it does: `cargo bench --package leveret-session --bench hot`.
//! A filter may follow after `--`. For differences too small for a clock there is `cargo xtask bench hot`.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::disallowed_methods, reason = "the clock is what it measures with")]

mod work;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn hot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hot");
    group.throughput(Throughput::Elements(work::OPERATIONS.into()));
    for case in work::cases() {
        group.bench_function(&case.name, |bencher| {
            let mut work = case.prepare();
            bencher.iter_custom(|runs| {
                let mut taken = Duration::ZERO;
                for _ in 0..runs {
                    let start = Instant::now();
                    work.run();
                    taken += start.elapsed();
                    work.reset();
                }
                taken
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hot);
criterion_main!(benches);
