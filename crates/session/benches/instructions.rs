//! Counts the instructions of the hot functions by valgrind. `cargo xtask bench hot` runs it and holds the counts against
//! `instructions.toml`; with `--names` it prints what is counted, in the order in which the counts come.

mod work;

/// Rows are numbered by their harness, so that somebody has to tell their names.
fn main() {
    if std::env::args().any(|arg| arg == "--names") {
        for case in work::cases() {
            println!("{}", case.name);
        }
        return;
    }
    counted::run();
}

mod counted {
    use gungraun::{library_benchmark, library_benchmark_group};

    use crate::work::{self, Case, Work};

    #[library_benchmark]
    #[benches::all(iter = work::cases(), setup = prepare)]
    fn count(mut work: Box<dyn Work>) -> Box<dyn Work> {
        work.run();
        // What taking it down costs is not counted.
        work
    }

    fn prepare(case: Case) -> Box<dyn Work> {
        case.prepare()
    }

    library_benchmark_group!(name = hot, benchmarks = count);
    gungraun::main!(library_benchmark_groups = hot);

    pub fn run() {
        main();
    }
}
