//! The standard table as data: what is measured, how, and the goals.

use super::figures::{Figure, LEVERET, RABBITMQ, RELAY};

const BACKLOG_LONG: u64 = 10_000_000;
const BACKLOG: u64 = 1_000_000;
/// Peers need far longer for each message; with 100,000, RabbitMQ drained at half the cost.
const PEER_BACKLOG: u64 = 200_000;

/// A line of the table.
pub struct Row {
    /// What it is called in the figures' file.
    pub key: &'static str,
    /// What it is called on the page.
    pub work: &'static str,
    pub how: How,
    pub kept: Kept,
    /// Against whom, besides ourselves.
    pub against: &'static [&'static str],
    pub goals: &'static [Goal],
}

/// How a row is measured.
pub enum How {
    /// By a load with these options.
    Load(&'static str),
    /// By a load; right after it the disk, at the batches that there were and at the largest that there could be.
    Synced { load: &'static str, records_max: u32 },
    /// By a load while it is watched how long threads wait for locks.
    Locks(&'static str),
    /// At half the rate that the load reaches without a limit.
    HalfRate(&'static str),
    /// With a consumer that does not read any more, and with one that reads in its place.
    Stalled { stalled: &'static str, alone: &'static str },
    /// By filling a queue and emptying it.
    Backlog { options: &'static str, messages: u64, peer_messages: u64 },
    /// By making many of a kind and holding them.
    Count { kind: &'static str, count: u64, peer_count: u64 },
    /// By opening and closing, or declaring and deleting, as fast as it goes.
    Churn(&'static str),
    /// By looking at a broker that has just started.
    Idle,
    /// By starting it again and again with so many durable queues.
    Start { durable_queues: u64 },
}

/// What a row asks of the disk.
#[derive(Clone, Copy)]
pub enum Kept {
    Transient,
    /// Persistent messages, each confirmed.
    Confirmed,
    /// Durable queues, as the row's name says.
    Durable,
    /// Nothing that could be kept.
    Nothing,
}

/// A bound for a figure of ours.
pub struct Goal {
    pub figure: Figure,
    pub bound: Bound,
    pub of: Of,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What a bound is in units of.
#[derive(Clone, Copy)]
pub enum Of {
    /// The figure's own unit.
    Itself,
    /// The same figure of the relay in this row.
    Relay,
    /// Another figure of ours in this row.
    Ours(Figure),
    /// A figure of ours in another row.
    Row(&'static str, Figure),
}

const ALL: &[&str] = &[RELAY, RABBITMQ];
const PEERS: &[&str] = &[RABBITMQ];
const NOBODY: &[&str] = &[];

const fn at_most(figure: Figure, bound: f64) -> Goal {
    Goal { figure, bound: Bound::AtMost(bound), of: Of::Itself }
}

const fn at_least(figure: Figure, bound: f64, of: Of) -> Goal {
    Goal { figure, bound: Bound::AtLeast(bound), of }
}

const fn at_most_of(figure: Figure, bound: f64, of: Of) -> Goal {
    Goal { figure, bound: Bound::AtMost(bound), of }
}

impl Kept {
    pub fn words(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Confirmed => "persistent, confirmed",
            Self::Durable => "durable",
            Self::Nothing => "-",
        }
    }
}

impl Row {
    /// Its name with how messages are kept: some rows differ in nothing else.
    pub fn title(&self) -> String {
        match self.kept {
            Kept::Nothing | Kept::Durable => self.work.to_owned(),
            kept => format!("{} ({})", self.work, kept.words()),
        }
    }

    /// Rows that take long are run when asked for, and once.
    pub fn is_long(&self) -> bool {
        matches!(self.how, How::Backlog { messages: BACKLOG_LONG, .. })
    }

    /// Rows about memory and starts need a process that has done nothing yet.
    pub fn wants_fresh(&self) -> bool {
        matches!(self.how, How::Count { .. } | How::Idle | How::Start { .. } | How::Backlog { .. })
    }

    /// Whether a candidate takes part; a peer that was named takes part where RabbitMQ does.
    pub fn takes(&self, candidate: &str) -> bool {
        let role = if candidate == RELAY || candidate == LEVERET { candidate } else { RABBITMQ };
        role == LEVERET || self.against.contains(&role)
    }

    /// Other rows that goals of this one look at.
    pub fn looks_at(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.goals.iter().filter_map(|goal| match goal.of {
            Of::Row(key, _) => Some(key),
            _ => None,
        })
    }

    /// Whether a filter is about this row: it is its key, or, where it is nobody's, a part of key or name.
    pub fn is_named_by(&self, filter: &str) -> bool {
        let is_a_key = ROWS.iter().any(|row| row.key == filter);
        self.key == filter || (!is_a_key && (self.key.contains(filter) || self.work.contains(filter)))
    }
}

pub const ROWS: &[Row] = &[
    Row {
        key: "16b",
        work: "16 B, 1 to 1, auto-ack",
        how: How::Load("--size 16"),
        kept: Kept::Transient,
        against: ALL,
        goals: &[at_most(Figure::CpuUs, 0.2), at_least(Figure::Rate, 0.2, Of::Relay)],
    },
    Row {
        key: "1k",
        work: "1 KiB, 1 to 1, auto-ack",
        how: How::Locks("--size 1024 --backlog-max 20000"),
        kept: Kept::Transient,
        against: ALL,
        goals: &[at_most(Figure::CpuUs, 0.6), at_least(Figure::Rate, 0.5, Of::Relay)],
    },
    Row {
        key: "1k-acked",
        work: "1 KiB, acks of 100, prefetch 1,000",
        how: How::Load("--size 1024 --ack-batch 100 --prefetch 1000 --backlog-max 20000"),
        kept: Kept::Transient,
        against: ALL,
        goals: &[at_most(Figure::CpuUs, 0.8), at_least(Figure::Rate, 0.7, Of::Row("1k", Figure::Rate))],
    },
    Row {
        key: "1k-persistent",
        work: "1 KiB, window of 1,000, published only",
        how: How::Synced { load: "--size 1024 --persistent --confirms 1000 --consumers 0", records_max: 1_000 },
        kept: Kept::Confirmed,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 1.5), at_least(Figure::Rate, 0.6, Of::Ours(Figure::DiskRate))],
    },
    Row {
        key: "1k-persistent-consumed",
        work: "1 KiB, window of 1,000, consumed with acks of 200",
        how: How::Load("--size 1024 --persistent --confirms 1000 --ack-batch 200 --prefetch 1000 --backlog-max 20000"),
        kept: Kept::Confirmed,
        against: PEERS,
        goals: &[],
    },
    Row {
        key: "lone-persistent",
        work: "one confirm at a time, 1 KiB",
        how: How::Synced { load: "--size 1024 --persistent --confirms 1 --consumers 0", records_max: 1 },
        kept: Kept::Confirmed,
        against: PEERS,
        goals: &[at_most_of(Figure::P50Us, 1.5, Of::Ours(Figure::FdatasyncUs))],
    },
    Row {
        key: "lone-transient",
        work: "one confirm at a time, 1 KiB",
        how: How::Load("--size 1024 --confirms 1 --ack-batch 1"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::P50Us, 50.0)],
    },
    Row {
        key: "fanout",
        work: "fan-out 1 to 10, 1 KiB; each delivery counts as a message",
        how: How::Load("--size 1024 --exchange fanout --queues 10 --consumers 10 --backlog-max 20000"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.4)],
    },
    Row {
        key: "topic",
        work: "16 B, 1 to 1 by a topic exchange with 1,000 bindings",
        how: How::Load("--size 16 --exchange topic --bindings 1000"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.4)],
    },
    Row {
        key: "100x100x100",
        work: "1 KiB, 100 producers, 100 queues, 100 consumers",
        how: How::Load("--size 1024 --producers 100 --consumers 100 --queues 100 --backlog-max 20000"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_least(Figure::Rate, 0.7, Of::Row("1k", Figure::Rate))],
    },
    Row {
        key: "16x1x16",
        work: "1 KiB, 16 producers, 1 queue, 16 consumers",
        how: How::Locks("--size 1024 --producers 16 --consumers 16 --backlog-max 20000"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_least(Figure::Rate, 0.7, Of::Row("1k", Figure::Rate)), at_most(Figure::LockWaitPercent, 20.0)],
    },
    Row {
        key: "latency",
        work: "1 KiB at half of each broker's own capacity",
        how: How::HalfRate("--size 1024 --backlog-max 20000"),
        kept: Kept::Transient,
        against: ALL,
        goals: &[at_most(Figure::P50Us, 100.0), at_most(Figure::P99Us, 1_000.0)],
    },
    Row {
        key: "stalled",
        work: "1 KiB fan-out flat out to 2 consumers, beside a third that has stopped reading",
        how: How::Stalled {
            stalled: "--size 1024 --exchange fanout --queues 2 --consumers 2 --stalled-consumers 1 --backlog-max 2000 --latency",
            alone: "--size 1024 --exchange fanout --queues 3 --consumers 3 --backlog-max 3000 --latency",
        },
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most_of(Figure::P99Us, 2.0, Of::Ours(Figure::AloneP99Us))],
    },
    Row {
        key: "drain-16b",
        work: "drain of waiting 16 B messages, acks of 200",
        how: How::Backlog { options: "--size 16 --transient", messages: BACKLOG, peer_messages: PEER_BACKLOG },
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.3)],
    },
    Row {
        key: "drain-16b-persistent",
        work: "drain of waiting 16 B messages, acks of 200",
        how: How::Backlog { options: "--size 16", messages: BACKLOG, peer_messages: PEER_BACKLOG },
        kept: Kept::Confirmed,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.3)],
    },
    Row {
        key: "drain-1k",
        work: "drain of waiting 1 KiB messages, acks of 200",
        how: How::Backlog { options: "--size 1024 --transient", messages: BACKLOG, peer_messages: PEER_BACKLOG },
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.6)],
    },
    Row {
        key: "drain-1k-persistent",
        work: "drain of waiting 1 KiB messages, acks of 200",
        how: How::Backlog { options: "--size 1024", messages: BACKLOG, peer_messages: PEER_BACKLOG },
        kept: Kept::Confirmed,
        against: PEERS,
        goals: &[at_most(Figure::CpuUs, 0.6)],
    },
    Row {
        key: "10m",
        work: "10 million 1 KiB messages in, waiting, and out",
        how: How::Backlog { options: "--size 1024", messages: BACKLOG_LONG, peer_messages: 0 },
        kept: Kept::Confirmed,
        against: NOBODY,
        goals: &[
            at_least(Figure::FillRate, 0.6, Of::Row("1k-persistent-consumed", Figure::Rate)),
            at_least(Figure::Rate, 0.6, Of::Row("1k-persistent-consumed", Figure::Rate)),
            at_most(Figure::ResidentMaxMib, 200.0),
        ],
    },
    Row {
        key: "idle",
        work: "a broker that has just started",
        how: How::Idle,
        kept: Kept::Nothing,
        against: PEERS,
        goals: &[at_most(Figure::ResidentMib, 12.0)],
    },
    Row {
        key: "idle-connections",
        work: "10,000 idle connections with a channel each",
        how: How::Count { kind: "connections", count: 10_000, peer_count: 2_000 },
        kept: Kept::Nothing,
        against: PEERS,
        goals: &[at_most(Figure::EachKib, 12.0)],
    },
    Row {
        key: "idle-queues",
        work: "100,000 idle queues",
        how: How::Count { kind: "queues", count: 100_000, peer_count: 5_000 },
        kept: Kept::Transient,
        against: PEERS,
        goals: &[at_most(Figure::EachKib, 1.2)],
    },
    Row {
        key: "declare-durable",
        work: "10,000 durable queues declared on one channel, pipelined",
        how: How::Count { kind: "durable-queues", count: 10_000, peer_count: 2_000 },
        kept: Kept::Durable,
        against: PEERS,
        goals: &[at_least(Figure::OperationRate, 5_000.0, Of::Itself)],
    },
    Row {
        key: "start-empty",
        work: "start, empty data directory",
        how: How::Start { durable_queues: 0 },
        kept: Kept::Nothing,
        against: PEERS,
        goals: &[at_most(Figure::StartMs, 30.0)],
    },
    Row {
        key: "start-100000",
        work: "start with 100,000 durable queues",
        how: How::Start { durable_queues: 100_000 },
        kept: Kept::Durable,
        against: NOBODY,
        goals: &[at_most(Figure::StartMs, 1_000.0), at_most(Figure::EachKib, 1.2)],
    },
    Row {
        key: "churn-connections",
        work: "connections opened and closed",
        how: How::Churn("connections"),
        kept: Kept::Nothing,
        against: PEERS,
        goals: &[],
    },
    Row {
        key: "churn-channels",
        work: "channels opened and closed",
        how: How::Churn("channels"),
        kept: Kept::Nothing,
        against: PEERS,
        goals: &[],
    },
    Row {
        key: "churn-queues",
        work: "queues declared and deleted",
        how: How::Churn("queues"),
        kept: Kept::Transient,
        against: PEERS,
        goals: &[],
    },
    Row {
        key: "churn-durable-queues",
        work: "durable queues declared and deleted",
        how: How::Churn("durable-queues"),
        kept: Kept::Durable,
        against: PEERS,
        goals: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_there_once_and_goals_look_at_rows_that_exist() {
        let keys: HashSet<&str> = ROWS.iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), ROWS.len());
        for key in ROWS.iter().flat_map(Row::looks_at) {
            assert!(keys.contains(key), "{key}");
        }
    }

    #[test]
    fn only_rows_that_the_relay_takes_are_judged_by_it() {
        for row in ROWS {
            let judged = row.goals.iter().any(|goal| matches!(goal.of, Of::Relay));
            assert!(!judged || row.takes(RELAY), "{}", row.key);
            assert!(row.takes(LEVERET));
            assert_eq!(row.takes("lavinmq"), row.takes(RABBITMQ));
        }
    }

    #[test]
    fn a_filter_is_a_part_of_the_key_or_of_the_words() {
        let named = |filter: &str| ROWS.iter().filter(|row| row.is_named_by(filter)).count();
        assert_eq!((named("16x1x16"), named("drain"), named("nothing like it"), named("")), (1, 4, 0, ROWS.len()));
        assert_eq!(named("1k"), 1, "a key is only itself");
    }
}
