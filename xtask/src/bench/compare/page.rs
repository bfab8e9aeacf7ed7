//! The page: a function of the results alone. Nothing in it changes with the day, so that a difference is a difference in
//! speed.

use std::fmt::Write as _;

use super::figures::{Broker, Figure, LEVERET, RABBITMQ, RELAY, Results};
use super::goals::{Judged, RowRatio, Verdict, cpu_ratios, judge, judge_against_rabbitmq, rate_ratios};
use super::rows::{ROWS, Row};
use crate::bench::median;

/// Figures that have no table of their own.
const OTHERS: &[Figure] = &[
    Figure::OfferedRate,
    Figure::AloneP99Us,
    Figure::LockWaitPercent,
    Figure::DiskRate,
    Figure::DiskRateMax,
    Figure::FdatasyncUs,
    Figure::Number,
    Figure::FillRate,
    Figure::FillCpuUs,
    Figure::WaitingMib,
    Figure::ResidentMaxMib,
    Figure::OperationRate,
    Figure::OperationCpuUs,
    Figure::EachKib,
    Figure::IdleCpuPercent,
    Figure::StartMs,
];

const METHOD: &str = "\
- Leveret runs with its defaults on a data directory: durability fsync, nothing is switched off. RabbitMQ is Debian's as it
  comes, with plain queues, on the same disk.
- The load generator (`crates/bench`) writes publishes that were encoded beforehand and only counts deliveries, so the broker
  is what is measured. It runs on the same cores, over loopback.
- At most 20,000 messages of 1 KiB are on their way at once under load, so that a row about throughput has no backlog; backlogs
  have rows of their own. Messages of 16 B: 100,000.
- The relay does the least work that still looks like a broker: it parses frames and writes deliveries to its one consumer,
  without queue, routing, acknowledgements or disk. It is the machine's own limit.
- CPU time is that of the whole process, user and system, divided by the messages delivered, or confirmed where nobody
  consumes. It depends far less on what else the machine does than the rate.
- The disk's own limit is that of records of 1 KiB written to a preallocated file and synced (fdatasync), measured right after
  the row in each round, at as many records a sync as the broker wrote messages at a time. At the most that could wait for a
  confirm at once it takes more, see the details; the broker never has as many, as it takes in new ones while it syncs.
- Latency at half of capacity is from the time when a message was due to be sent to its delivery, so that a stall counts for
  all that it delays. Capacity is the rate of the same broker without a limit, measured just before.
- Lock wait is sampled from outside: of the time in which the threads that serve connections had something to do, the part in
  which they slept because another held a lock.
- A start takes from the start of the process to the first byte of connection.start; RabbitMQ is asked every 200 ms.
- Backlogs, idle connections, idle queues and declares are fewer at RabbitMQ, since they take so long there; the number is in
  the details, figures are for each of them.
";

/// The whole page.
pub fn page(results: &Results) -> String {
    let mut out = "# Performance\n\n".to_owned();
    headline(&mut out, results);
    out.push_str("\n## Goals\n\n");
    out.push_str(&goals(results));
    out.push_str("\n## How it was measured\n\n");
    method(&mut out, results);
    out.push_str("\n## What a confirm means\n\n");
    confirms(&mut out, results);
    details(&mut out, results);
    out
}

/// Ratios against each peer, first in a sentence, then row by row.
fn headline(out: &mut String, results: &Results) {
    if results.peers().next().is_none() {
        out.push_str("No other broker was measured beside Leveret.\n");
        return;
    }
    for peer in results.peers() {
        let _ = writeln!(
            out,
            "**Beside {}** on the same machine in the same run: {} times the messages a second, {} times less CPU a \
            message (the median of the rows below; the least and the most of them).\n",
            peer.name,
            span(&rate_ratios(results, &peer.key)),
            span(&cpu_ratios(results, &peer.key)),
        );
    }
    let mut header = vec!["work".to_owned(), "messages are".to_owned()];
    for peer in results.peers() {
        header.extend([format!("messages/s, Leveret : {}", peer.name), format!("CPU, {} : Leveret", peer.name)]);
    }
    let rows = measured(results).filter_map(|row| {
        let ratio = |ratios: Vec<RowRatio>| {
            ratios.iter().find(|other| other.row.key == row.key).map_or_else(|| "-".to_owned(), |row| times(row.ratio))
        };
        let ratios: Vec<String> = results
            .peers()
            .flat_map(|peer| [ratio(rate_ratios(results, &peer.key)), ratio(cpu_ratios(results, &peer.key))])
            .collect();
        let has_any = ratios.iter().any(|ratio| ratio != "-");
        has_any.then(|| [vec![row.work.to_owned(), row.kept.words().to_owned()], ratios].concat())
    });
    table(out, &header, 2, rows);
}

/// Each goal beside what was measured.
pub fn goals(results: &Results) -> String {
    let mut out = String::new();
    let header = ["work", "messages are", "goal", "measured", ""].map(str::to_owned);
    let line = |work: &str, kept: &str, judged: Judged| {
        vec![work.to_owned(), kept.to_owned(), judged.goal, judged.measured, judged.verdict.words().to_owned()]
    };
    let rows = ROWS
        .iter()
        .flat_map(|row| row.goals.iter().map(move |goal| line(row.work, row.kept.words(), judge(results, row, goal))));
    let against_rabbitmq = line("against RabbitMQ on the same table", "-", judge_against_rabbitmq(results));
    table(&mut out, &header, 5, rows.chain([against_rabbitmq]));
    let verdicts: Vec<Verdict> = ROWS
        .iter()
        .flat_map(|row| row.goals.iter().map(|goal| judge(results, row, goal).verdict))
        .chain([judge_against_rabbitmq(results).verdict])
        .collect();
    let count = |verdict: Verdict| verdicts.iter().filter(|other| **other == verdict).count();
    let (met, missed, open) = (count(Verdict::Met), count(Verdict::Missed), count(Verdict::NotMeasured));
    let _ = writeln!(out, "\nOf {} goals {met} are met, {missed} missed, {open} not measured.", verdicts.len());
    out
}

fn method(out: &mut String, results: &Results) {
    let _ = writeln!(out, "```\n{}\n```\n", command(results));
    let _ = writeln!(out, "- Machine: {}, shared by the broker and the load generator.", results.machine);
    let seconds = results.rows.values().map(|measured| measured.seconds);
    let (shortest, longest) = (seconds.clone().fold(f64::INFINITY, f64::min), seconds.fold(0.0, f64::max));
    let seconds = if shortest < longest { format!("{shortest} to {longest} s") } else { format!("{longest} s") };
    let rounds = measured(results)
        .filter(|row| !row.is_long())
        .filter_map(|row| results.rows.get(row.key)?.rounds.values().map(Vec::len).min());
    let _ = writeln!(
        out,
        "- Each figure is the median of {} rounds. All take turns, row by row. A run under load has {seconds}.{}",
        rounds.min().unwrap_or(0),
        if measured(results).any(Row::is_long) { " Ten million messages were run once." } else { "" }
    );
    out.push_str(METHOD);
    for peer in results.peers().filter(|peer| peer.key != RABBITMQ) {
        let _ = writeln!(out, "- {} ran already, with whatever it had been told.", peer.name);
    }
}

/// What to type for a page like this one.
fn command(results: &Results) -> String {
    let mut command = "cargo xtask bench compare".to_owned();
    if measured(results).any(Row::is_long) {
        command.push_str(" --long");
    }
    for peer in results.peers().filter(|peer| peer.key != RABBITMQ) {
        let _ = write!(command, " --peer {}=PORT", peer.key);
    }
    command
}

fn confirms(out: &mut String, results: &Results) {
    let header = ["broker", "a persistent message is confirmed"].map(str::to_owned);
    let ours = vec!["Leveret".to_owned(), "when the fdatasync that covers it is done".to_owned()];
    let peers = results.peers().map(|peer| vec![peer.name.clone(), meaning_of_confirm(&peer.name).to_owned()]);
    table(out, &header, 2, [ours].into_iter().chain(peers));
    out.push_str("\nThe relay confirms nothing. Transient messages are not synced anywhere.\n");
}

/// By what a broker calls itself.
fn meaning_of_confirm(name: &str) -> &'static str {
    if name.starts_with("RabbitMQ 3.10") {
        "when the fsync that covers it is done (seen with strace)"
    } else if name.starts_with("RabbitMQ 4") || name.starts_with("LavinMQ") {
        "when it is written; not synced"
    } else {
        "not looked into; see its manual"
    }
}

fn details(out: &mut String, results: &Results) {
    compared(out, results, "Messages a second", Figure::Rate, Better::More);
    compared(out, results, "CPU microseconds a message", Figure::CpuUs, Better::Less);
    latencies(out, results);
    let all: Vec<Broker> = brokers(results);
    let lines = |figures: &'static [Figure]| {
        let all = &all;
        measured(results).flat_map(move |row| {
            figures.iter().filter_map(move |figure| {
                let cells: Vec<String> = all.iter().map(|broker| cell(results, row, &broker.key, *figure)).collect();
                let (words, unit) = figure.words();
                let has_any = cells.iter().any(|cell| cell != "-");
                has_any.then(|| [vec![row.title(), format!("{words}{}", in_unit(unit))], cells].concat())
            })
        })
    };
    let names = all.iter().map(|broker| broker.name.clone());
    let header: Vec<String> = ["work".to_owned(), "figure".to_owned()].into_iter().chain(names).collect();
    out.push_str("\n## Resident memory\n\n");
    table(out, &header, 2, lines(&[Figure::ResidentMib]));
    out.push_str("\n## The rest\n\n");
    table(out, &header, 2, lines(OTHERS));
}

#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
}

/// A figure of all, with ratios that are above 1 where Leveret is better.
fn compared(out: &mut String, results: &Results, title: &str, figure: Figure, better: Better) {
    let _ = writeln!(out, "\n## {title}\n");
    let others: Vec<Broker> = brokers(results).into_iter().filter(|broker| broker.key != LEVERET).collect();
    let mut header = vec!["work".to_owned(), "Leveret".to_owned()];
    for other in &others {
        let ratio = match better {
            Better::More => format!("Leveret : {}", other.name),
            Better::Less => format!("{} : Leveret", other.name),
        };
        header.extend([other.name.clone(), ratio]);
    }
    let rows = measured(results).filter_map(|row| {
        let ours = results.median(row.key, LEVERET, figure)?;
        let mut cells = vec![row.title(), figure.shown(ours)];
        for other in &others {
            let theirs = results.median(row.key, &other.key, figure);
            let ratio = theirs.map(|theirs| match better {
                Better::More => ours / theirs,
                Better::Less => theirs / ours,
            });
            cells.extend([cell(results, row, &other.key, figure), ratio.map_or_else(|| "-".to_owned(), times)]);
        }
        Some(cells)
    });
    table(out, &header, 1, rows);
}

fn latencies(out: &mut String, results: &Results) {
    out.push_str("\n## Latency\n\nMicroseconds: median / 99 of 100 / longest.\n\n");
    let all = brokers(results);
    let header: Vec<String> =
        std::iter::once("work".to_owned()).chain(all.iter().map(|broker| broker.name.clone())).collect();
    let rows = measured(results).filter(|row| results.median(row.key, LEVERET, Figure::P50Us).is_some()).map(|row| {
        let parts = |key: &str| {
            [Figure::P50Us, Figure::P99Us, Figure::MaxUs].map(|figure| cell(results, row, key, figure)).join(" / ")
        };
        let cells = all.iter().map(|broker| match results.median(row.key, &broker.key, Figure::P50Us) {
            Some(_) => parts(&broker.key),
            None => "-".to_owned(),
        });
        std::iter::once(row.title()).chain(cells).collect()
    });
    table(out, &header, 1, rows);
}

/// Ours, the relay if it was there, and the peers.
fn brokers(results: &Results) -> Vec<Broker> {
    let named = |key: &str, name: &str| Broker { key: key.to_owned(), name: name.to_owned() };
    let mut all = vec![named(LEVERET, "Leveret")];
    if results.brokers.iter().any(|broker| broker.key == RELAY) {
        all.push(named(RELAY, "relay"));
    }
    all.extend(results.peers().cloned());
    all
}

/// The rows that there are figures of, in the order of the table.
fn measured(results: &Results) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| results.rows.contains_key(row.key))
}

fn cell(results: &Results, row: &Row, key: &str, figure: Figure) -> String {
    results.median(row.key, key, figure).map_or_else(|| "-".to_owned(), |value| figure.shown(value))
}

fn in_unit(unit: &str) -> String {
    match unit {
        "" => String::new(),
        "/s" => " a second".to_owned(),
        unit => format!(",{unit}"),
    }
}

/// The ratio in the middle, the least and the greatest.
fn span(ratios: &[RowRatio]) -> String {
    let all = ratios.iter().map(|row| row.ratio);
    let (least, most) = (all.clone().fold(f64::INFINITY, f64::min), all.clone().fold(0.0, f64::max));
    match ratios {
        [] => "?".to_owned(),
        _ => format!("{} ({} to {})", times(median(all.collect())), times(least), times(most)),
    }
}

/// A ratio with about three digits.
fn times(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}"),
        10.0..100.0 => format!("{ratio:.1}"),
        _ => super::figures::grouped(ratio),
    }
}

/// A table whose first columns are words and the others numbers.
fn table(out: &mut String, header: &[String], words: usize, rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(out, "| {} |", header.join(" | "));
    let _ = writeln!(out, "|{}{}", "---|".repeat(words), "---:|".repeat(header.len().saturating_sub(words)));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

#[cfg(test)]
mod tests;
