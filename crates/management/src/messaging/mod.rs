//! What messages pass: queues, exchanges, bindings, connections, channels and consumers, and the messages themselves.

mod bindings;
mod channels;
mod connections;
mod consumers;
mod exchanges;
mod fetch;
mod filter;
mod moving;
mod own;
pub(crate) mod properties;
mod publish;
mod queue;
mod queues;
mod quorum;
mod refusal;
pub(crate) mod stats;

use crate::http::routes::Resource;

/// The routes of all of them.
pub(crate) fn resources() -> Vec<Resource> {
    let all = [
        queues::resources(),
        quorum::resources(),
        fetch::resources(),
        own::resources(),
        moving::resources(),
        exchanges::resources(),
        publish::resources(),
        bindings::resources(),
        connections::resources(),
        channels::resources(),
        consumers::resources(),
    ];
    all.into_iter().flatten().collect()
}
