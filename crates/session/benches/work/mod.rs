//! What is measured, written once for both benchmarks: `hot.rs` takes the time, `instructions.rs` counts instructions.
//!
//! A name is the function by its word in the protocol or the engine, then what varies (bindings, bytes of the body).

mod codec;
mod path;
mod queue;
mod routing;

/// As in the broker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Operations of a run, most often messages.
pub const OPERATIONS: u32 = 256;

/// Runs before the first one that is measured: buffers have their size then, and caches are filled.
const WARM_UP_RUNS: u32 = 3;

/// Something to measure again and again.
pub trait Work {
    /// Does [`OPERATIONS`] operations: what is measured.
    fn run(&mut self);

    /// Makes the next run find what this one found.
    fn reset(&mut self) {}
}

/// A piece of work by its name.
pub struct Case {
    pub name: String,
    make: Box<dyn Fn() -> Box<dyn Work>>,
}

impl Case {
    fn new(name: impl Into<String>, make: impl Fn() -> Box<dyn Work> + 'static) -> Self {
        Self { name: name.into(), make: Box::new(make) }
    }

    /// An operation that leaves nothing behind.
    fn repeated<F: FnMut() + 'static>(name: impl Into<String>, make: impl Fn() -> F + 'static) -> Self {
        Self::new(name, move || Box::new(Repeated(make())))
    }

    /// The work, warm.
    pub fn prepare(&self) -> Box<dyn Work> {
        let mut work = (self.make)();
        for _ in 0..WARM_UP_RUNS {
            work.run();
            work.reset();
        }
        work
    }
}

struct Repeated<F>(F);

impl<F: FnMut()> Work for Repeated<F> {
    fn run(&mut self) {
        for _ in 0..OPERATIONS {
            (self.0)();
        }
    }
}

/// All there is to measure, in the order of a message's way.
pub fn cases() -> Vec<Case> {
    let mut cases = codec::decoding();
    cases.extend(routing::cases());
    cases.extend(queue::cases());
    cases.extend(codec::encoding());
    cases.extend(path::cases());
    cases
}
