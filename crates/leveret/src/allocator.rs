//! The memory of the process.

use std::convert::Infallible;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often freed memory is looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Gives freed memory back to the system now and then. The allocator does so by itself only while somebody allocates much: a
/// broker that has worked off a backlog and falls quiet would keep what the backlog took.
pub(crate) async fn tidy() -> Infallible {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        give_back();
    }
}

#[expect(unsafe_code, reason = "the allocator's own function, which the safe crate does not offer")]
fn give_back() {
    // SAFETY: may be called by any thread at any time. It looks after what this thread has freed, and after what has been
    // free in the whole process for long enough.
    unsafe { libmimalloc_sys::mi_collect(false) }
}
