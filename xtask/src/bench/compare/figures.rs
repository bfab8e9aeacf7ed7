//! What was measured: figures by row and candidate, every round's.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::bench::median;

/// The key of the broker that all of this is about.
pub const LEVERET: &str = "leveret";
pub const RELAY: &str = "relay";
pub const RABBITMQ: &str = "rabbitmq";

/// Something that a run gives a number for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Messages a second.
    Rate,
    /// CPU a message.
    CpuUs,
    GeneratorCpuUs,
    /// The rate that a latency is measured at.
    OfferedRate,
    P50Us,
    P99Us,
    MaxUs,
    /// The same with everybody well.
    AloneP99Us,
    /// Of the time in which threads had work: waiting for a lock.
    LockWaitPercent,
    ResidentMib,
    /// Records a second that the disk takes at the batches that the broker had.
    DiskRate,
    /// The same at the largest batch there could be.
    DiskRateMax,
    FdatasyncUs,
    FillRate,
    FillCpuUs,
    ResidentMaxMib,
    WaitingMib,
    /// How many there were of what is counted.
    Number,
    /// Opened or declared a second.
    OperationRate,
    OperationCpuUs,
    EachKib,
    IdleCpuPercent,
    StartMs,
}

/// The figures of one run.
pub type Figures = BTreeMap<Figure, f64>;

/// Everything that a page is made of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    /// By key, what each calls itself; peers in the order of their columns.
    pub brokers: Vec<Broker>,
    /// By the key of a row.
    pub rows: BTreeMap<String, Measured>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    pub key: String,
    pub name: String,
}

/// A row's figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds of each run.
    pub seconds: f64,
    /// By the key of a candidate, one for each round.
    pub rounds: BTreeMap<String, Vec<Figures>>,
}

impl Figure {
    /// A few words and the unit.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Rate => ("rate", "/s"),
            Self::CpuUs => ("CPU a message", " us"),
            Self::GeneratorCpuUs => ("load generator's CPU a message", " us"),
            Self::OfferedRate => ("offered", "/s"),
            Self::P50Us => ("p50", " us"),
            Self::P99Us => ("p99", " us"),
            Self::MaxUs => ("longest", " us"),
            Self::AloneP99Us => ("p99 with a third that reads", " us"),
            Self::LockWaitPercent => ("lock wait", " %"),
            Self::ResidentMib => ("resident memory", " MiB"),
            Self::DiskRate => ("disk's limit at the broker's batches", "/s"),
            Self::DiskRateMax => ("disk's limit at the largest batch", "/s"),
            Self::FdatasyncUs => ("median fdatasync", " us"),
            Self::FillRate => ("fill", "/s"),
            Self::FillCpuUs => ("fill, CPU a message", " us"),
            Self::ResidentMaxMib => ("most resident memory", " MiB"),
            Self::WaitingMib => ("resident memory with all waiting", " MiB"),
            Self::Number => ("number", ""),
            Self::OperationRate => ("rate", "/s"),
            Self::OperationCpuUs => ("CPU each", " us"),
            Self::EachKib => ("memory each", " KiB"),
            Self::IdleCpuPercent => ("CPU of a core while idle", " %"),
            Self::StartMs => ("first handshake after", " ms"),
        }
    }

    /// A value of it with as many digits as it deserves, without the unit.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::CpuUs | Self::GeneratorCpuUs | Self::FillCpuUs => format!("{value:.3}"),
            Self::EachKib => format!("{value:.2}"),
            _ if value.abs() < 100.0 => format!("{value:.1}"),
            _ => grouped(value),
        }
    }
}

impl Results {
    /// The median over the rounds; `None` when it was not measured.
    pub fn median(&self, row: &str, candidate: &str, figure: Figure) -> Option<f64> {
        let rounds = self.rows.get(row)?.rounds.get(candidate)?;
        let values: Vec<f64> = rounds.iter().filter_map(|figures| figures.get(&figure).copied()).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// Whom Leveret is compared with, apart from the machine's own limit.
    pub fn peers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter(|broker| broker.key != LEVERET && broker.key != RELAY)
    }

    /// Keeps the figures of a run.
    pub fn add(&mut self, row: &str, candidate: &str, seconds: f64, figures: Figures) {
        let measured = self.rows.entry(row.to_owned()).or_default();
        measured.seconds = seconds;
        measured.rounds.entry(candidate.to_owned()).or_default().push(figures);
    }

    /// Notes what a candidate calls itself, if it was asked; until then its key stands for it.
    pub fn introduce(&mut self, key: &str, name: Option<&str>) {
        match self.brokers.iter_mut().find(|broker| broker.key == key) {
            Some(broker) => broker.name = name.unwrap_or(&broker.name).to_owned(),
            None => self.brokers.push(Broker { key: key.to_owned(), name: name.unwrap_or(key).to_owned() }),
        }
    }

    /// Takes over the rows of a former run that this one has not. A ratio needs one run, so that a row is never mixed.
    pub fn merge(&mut self, former: Self) -> anyhow::Result<()> {
        ensure!(
            former.machine == self.machine,
            "the former figures are of another machine: {}, {}",
            former.machine,
            self.machine
        );
        for broker in former.brokers {
            if !self.brokers.iter().any(|ours| ours.key == broker.key) {
                self.brokers.push(broker);
            }
        }
        for (row, measured) in former.rows {
            self.rows.entry(row).or_insert(measured);
        }
        Ok(())
    }
}

/// A whole number with its thousands apart.
pub fn grouped(number: f64) -> String {
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

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A row, a candidate, and what it does.
    pub type Made<'a> = (&'a str, &'a str, &'a [(Figure, f64)]);

    /// Rows with the same figures in each of two rounds.
    pub fn results(runs: &[Made<'_>]) -> Results {
        let mut results = Results::default();
        for (row, candidate, figures) in runs {
            results.introduce(candidate, Some(&format!("{candidate} 1.0")));
            for _ in 0..2 {
                results.add(row, candidate, 2.0, figures.iter().copied().collect());
            }
        }
        results
    }

    #[test]
    fn a_median_is_of_the_rounds_that_have_the_figure() {
        let mut results = Results::default();
        for rate in [5.0, 1.0, 3.0] {
            results.add("a", LEVERET, 1.0, Figures::from([(Figure::Rate, rate)]));
        }
        results.add("a", LEVERET, 1.0, Figures::new());
        assert_eq!(results.median("a", LEVERET, Figure::Rate), Some(3.0));
        assert_eq!(results.median("a", LEVERET, Figure::CpuUs), None);
        assert_eq!(results.median("a", RELAY, Figure::Rate), None);
        assert_eq!(results.median("b", LEVERET, Figure::Rate), None);
    }

    #[test]
    fn results_survive_being_written_and_read() {
        let written = results(&[("a", LEVERET, &[(Figure::P50Us, 1.5)]), ("a", "other", &[])]);
        let read: Results = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        assert_eq!(read.median("a", LEVERET, Figure::P50Us), Some(1.5));
        assert_eq!(read.peers().map(|peer| peer.name.as_str()).collect::<Vec<_>>(), ["other 1.0"]);
    }

    #[test]
    fn merging_keeps_rows_that_were_not_run_and_replaces_those_that_were() {
        let mut now = results(&[("a", LEVERET, &[(Figure::Rate, 2.0)])]);
        let former = results(&[
            ("a", LEVERET, &[(Figure::Rate, 1.0)]),
            ("a", RABBITMQ, &[(Figure::Rate, 1.0)]),
            ("b", RABBITMQ, &[(Figure::Rate, 9.0)]),
        ]);
        now.merge(former).unwrap();
        assert_eq!(now.median("a", LEVERET, Figure::Rate), Some(2.0));
        assert_eq!(now.median("a", RABBITMQ, Figure::Rate), None);
        assert_eq!(now.median("b", RABBITMQ, Figure::Rate), Some(9.0));
        assert_eq!(now.peers().count(), 1);

        let mut elsewhere = Results::default();
        elsewhere.machine.cores = 64;
        assert!(now.merge(elsewhere).is_err());
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([999.6, 1_234_567.0].map(grouped), ["1,000", "1,234,567"]);
        assert_eq!(Figure::CpuUs.shown(0.1946), "0.195");
        assert_eq!(Figure::StartMs.shown(3.12), "3.1");
        assert_eq!(Figure::StartMs.shown(2_500.0), "2,500");
    }
}
