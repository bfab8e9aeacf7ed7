//! The page that a run writes. Nothing in it changes with the day, so that a difference is a difference in speed.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::thread;

use super::{CASES, Candidate, QuickArgs, WARMUP_SECONDS};

pub struct Page<'a> {
    pub args: &'a QuickArgs,
    pub ours: &'a Candidate,
    pub relay: &'a Candidate,
    pub peer: Option<&'a Candidate>,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.preface(f)?;
        self.rates(f)?;
        self.cpu(f)?;
        self.memory(f)
    }
}

impl Page<'_> {
    fn preface(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let QuickArgs { seconds, repeat, .. } = self.args;
        writeln!(
            f,
            "# Performance\n\n\
            One producer, one queue, one consumer, each on its own connection, over loopback. Written by\n\n\
            ```\n{command}\n```\n\n\
            - Machine: {cores} cores ({cpu}), shared by the broker and the load generator.\n\
            - Durability: ephemeral (in memory). Messages are transient.\n\
            - Each figure is the median of {repeat} runs of {seconds} s after {WARMUP_SECONDS} s of warm-up. The brokers\n  \
            take turns, run by run, each in one process for all its runs.\n\
            - The load generator (`crates/bench`) writes publishes that were encoded beforehand and only counts deliveries,\n  \
            so the broker is what is measured.\n\
            - The relay does the least work that still looks like a broker: it parses frames and writes deliveries to its\n  \
            one consumer, without queue, routing or acknowledgements. It is the machine's own limit.\n\
            - CPU time is that of the whole process, user and system, divided by the messages delivered. It depends far\n  \
            less on what else the machine does than the rate.",
            command = self.command(),
            cpu = cpu_model(),
        )
    }

    fn rates(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut header = vec!["work".to_owned(), "Leveret".into(), "relay".into(), "Leveret : relay".into()];
        if let Some(peer) = self.peer {
            header.extend([peer.name().to_owned(), format!("Leveret : {}", peer.name())]);
        }
        let rows = CASES.iter().enumerate().map(|(case, work)| {
            let ours = self.ours.rate(case);
            let relay = self.relay.rate(case);
            let mut row = vec![work.name.to_owned(), grouped(ours), grouped(relay), format!("{:.2}", ours / relay)];
            if let Some(peer) = self.peer.map(|peer| peer.rate(case)) {
                row.extend([grouped(peer), format!("{:.1}", ours / peer)]);
            }
            row
        });
        table(f, "Messages a second", &header, rows)
    }

    fn cpu(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut header = vec!["work".to_owned(), "Leveret".into(), "relay".into(), "load generator".into()];
        if let Some(peer) = self.peer {
            header.extend([peer.name().to_owned(), format!("{} : Leveret", peer.name())]);
        }
        let rows = CASES.iter().enumerate().map(|(case, work)| {
            let ours = self.ours.cpu_us(case);
            let others = [ours, self.relay.cpu_us(case), self.ours.generator_cpu_us(case)];
            let mut row = vec![work.name.to_owned()];
            row.extend(others.map(|us| format!("{us:.3}")));
            if let Some(peer) = self.peer.map(|peer| peer.cpu_us(case)) {
                row.extend([format!("{peer:.3}"), format!("{:.1}", peer / ours)]);
            }
            row
        });
        table(f, "CPU microseconds a message", &header, rows)
    }

    fn memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut header = vec!["work".to_owned(), "Leveret".into()];
        header.extend(self.peer.map(|peer| peer.name().to_owned()));
        let rows = CASES.iter().enumerate().map(|(case, work)| {
            let mut row = vec![work.name.to_owned()];
            row.extend([Some(self.ours), self.peer].into_iter().flatten().map(|broker| {
                let mib = broker.memory_mib(case);
                format!("{mib:.0}")
            }));
            row
        });
        table(f, "Resident memory under load, MiB", &header, rows)
    }

    /// What to type for a page like this one. A peer's address and process are never the same twice.
    fn command(&self) -> String {
        let mut command = "cargo xtask bench quick".to_owned();
        if self.peer.is_some() {
            command.push_str(" --peer URL --peer-pid PID");
        }
        command
    }
}

fn table(
    f: &mut Formatter<'_>,
    title: &str,
    header: &[String],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    writeln!(f, "\n## {title}\n\n| {} |", header.join(" | "))?;
    writeln!(f, "|---|{}", "---:|".repeat(header.len() - 1))?;
    for row in rows {
        writeln!(f, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn cpu_model() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::candidate;
    use super::*;

    fn args() -> QuickArgs {
        QuickArgs { seconds: 3.0, repeat: 3, peer: None, peer_pid: None, output: "page.md".into() }
    }

    #[test]
    fn the_page_shows_rates_ratios_and_costs() {
        let (ours, relay) = (candidate("Leveret", &[2_000_000.0]), candidate("relay", &[8_000_000.0]));
        let peer = candidate("RabbitMQ 3.10.8", &[50_000.0]);
        let page = Page { args: &args(), ours: &ours, relay: &relay, peer: Some(&peer) }.to_string();
        assert!(page.contains("| 16 B, auto-ack | 2,000,000 | 8,000,000 | 0.25 | 50,000 | 40.0 |"), "{page}");
        assert!(page.contains("| 16 B, auto-ack | 0.500 | 0.125 | 0.050 | 20.000 | 40.0 |"), "{page}");
        assert!(page.contains("| work | Leveret | RabbitMQ 3.10.8 |\n|---|---:|---:|\n"), "{page}");
        assert!(page.contains("median of 3 runs of 3 s"), "{page}");
        assert!(page.contains("bench quick --peer URL --peer-pid PID\n"), "{page}");
    }

    #[test]
    fn without_a_peer_there_is_no_column_for_one() {
        let (ours, relay) = (candidate("Leveret", &[2_000.0]), candidate("relay", &[4_000.0]));
        let page = Page { args: &args(), ours: &ours, relay: &relay, peer: None }.to_string();
        assert!(page.contains("| 16 B, auto-ack | 2,000 | 4,000 | 0.50 |\n"), "{page}");
        assert!(!page.contains("--peer"), "{page}");
    }
}
