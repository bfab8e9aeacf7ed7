//! Waiting for an answer where nothing may be awaited.

use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Waits for a future within a task, while other threads go on with the tasks of this one. The runtime must have several.
pub(super) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(future))
}
