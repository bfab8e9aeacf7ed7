//! What memory is used for, under RabbitMQ's names.

use leveret_server::engine::queue::arguments::QueueType;

use crate::state::Api;

/// Memory by what it is used for. The parts make up the total.
#[derive(Debug)]
pub(crate) struct Breakdown {
    /// Bytes by RabbitMQ's name for their use.
    pub(crate) parts: Vec<(&'static str, u64)>,
    /// What the process has in memory.
    pub(crate) total_bytes: u64,
}

/// RabbitMQ's names for what is not told apart here.
const NOT_TOLD_APART: [&str; 21] = [
    "connection_readers",
    "connection_writers",
    "connection_channels",
    "connection_other",
    "queue_slave_procs",
    "quorum_queue_dlx_procs",
    "stream_queue_replica_reader_procs",
    "stream_queue_coordinator_procs",
    "plugins",
    "metadata_store",
    "metrics",
    "mgmt_db",
    "mnesia",
    "quorum_ets",
    "metadata_store_ets",
    "other_ets",
    "binary",
    "msg_index",
    "atom",
    "allocated_unused",
    "reserved_unallocated",
];

/// Messages in memory by the type of their queues, and what is left: connections, the program, and what the allocator keeps.
pub(crate) fn breakdown(api: &Api) -> Breakdown {
    let [mut classic, mut quorum, mut stream] = [0; 3];
    for vhost in api.broker().vhosts() {
        for queue in vhost.queues() {
            let bytes = queue.report().resident_bytes;
            match queue.settings.queue_type {
                QueueType::Classic => classic += bytes,
                QueueType::Quorum => quorum += bytes,
                QueueType::Stream => stream += bytes,
            }
        }
    }
    let queues = classic + quorum + stream;
    let total_bytes = api.node.memory().used_bytes.max(queues);
    let code = code_bytes().min(total_bytes - queues);
    let mut parts: Vec<_> = NOT_TOLD_APART.iter().map(|name| (*name, 0)).collect();
    parts.extend([
        ("queue_procs", classic),
        ("quorum_queue_procs", quorum),
        ("stream_queue_procs", stream),
        ("code", code),
        ("other_proc", 0),
        ("other_system", total_bytes - queues - code),
    ]);
    Breakdown { parts, total_bytes }
}

/// The program itself: the pages of files that are in memory.
fn code_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("RssFile:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}
