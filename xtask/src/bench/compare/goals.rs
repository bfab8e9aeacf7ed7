//! Whether the goals are met.

use super::figures::{Figure, LEVERET, RABBITMQ, RELAY, Results};
use super::rows::{Bound, Goal, Of, ROWS, Row};

/// Against RabbitMQ: so many times less CPU a message on each row.
pub const RABBITMQ_CPU_RATIO_MIN: f64 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

/// A goal beside what was measured, in words.
#[derive(Debug)]
pub struct Judged {
    pub goal: String,
    pub measured: String,
    pub verdict: Verdict,
}

/// A ratio of CPU a message and the row that it is of.
pub struct RowRatio {
    pub row: &'static Row,
    pub ratio: f64,
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::NotMeasured => "not measured",
        }
    }

    fn of(bound: Bound, value: f64) -> Self {
        let is_met = match bound {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        };
        if is_met { Self::Met } else { Self::Missed }
    }
}

/// Holds the results against a goal of a row.
pub fn judge(results: &Results, row: &Row, goal: &Goal) -> Judged {
    let (words, unit) = goal.figure.words();
    let (side, bound) = match goal.bound {
        Bound::AtMost(bound) => ("at most", bound),
        Bound::AtLeast(bound) => ("at least", bound),
    };
    let text = match unit_of(goal) {
        None => format!("{words} {side} {}{unit}", trimmed(bound)),
        Some(reference) => format!("{words} {side} {} x {reference}", trimmed(bound)),
    };
    let ours = results.median(row.key, LEVERET, goal.figure);
    let (measured, verdict) = match (ours, reference(results, row, goal)) {
        (Some(ours), Some(reference)) => {
            let value = ours / reference;
            let shown = match goal.of {
                Of::Itself => format!("{}{unit}", goal.figure.shown(ours)),
                _ => format!("{value:.2} x ({} of {})", goal.figure.shown(ours), goal.figure.shown(reference)),
            };
            (shown, Verdict::of(goal.bound, value))
        }
        _ => ("-".to_owned(), Verdict::NotMeasured),
    };
    Judged { goal: text, measured, verdict }
}

/// What a goal is in units of, in words.
fn unit_of(goal: &Goal) -> Option<String> {
    match goal.of {
        Of::Itself => None,
        Of::Relay => Some(format!("the relay's {}", goal.figure.words().0)),
        Of::Ours(figure) => Some(format!("the {}", figure.words().0)),
        Of::Row(key, figure) => {
            let work = ROWS.iter().find(|row| row.key == key).map_or(key, |row| row.work);
            Some(format!("the {} of \"{work}\"", figure.words().0))
        }
    }
}

fn reference(results: &Results, row: &Row, goal: &Goal) -> Option<f64> {
    match goal.of {
        Of::Itself => Some(1.0),
        Of::Relay => results.median(row.key, RELAY, goal.figure),
        Of::Ours(figure) => results.median(row.key, LEVERET, figure),
        Of::Row(key, figure) => results.median(key, LEVERET, figure),
    }
}

/// How many times our CPU a message each row needs at a candidate, in the order of the table.
pub fn cpu_ratios(results: &Results, candidate: &str) -> Vec<RowRatio> {
    ratios(results, |key| {
        let theirs = results.median(key, candidate, Figure::CpuUs)?;
        Some(theirs / results.median(key, LEVERET, Figure::CpuUs)?)
    })
}

/// How many times a candidate's messages a second we pass in each row.
pub fn rate_ratios(results: &Results, candidate: &str) -> Vec<RowRatio> {
    ratios(results, |key| {
        let theirs = results.median(key, candidate, Figure::Rate)?;
        Some(results.median(key, LEVERET, Figure::Rate)? / theirs)
    })
}

fn ratios(results: &Results, ratio: impl Fn(&str) -> Option<f64>) -> Vec<RowRatio> {
    let measured = ROWS.iter().filter(|row| results.rows.contains_key(row.key));
    measured.filter_map(|row| Some(RowRatio { row, ratio: ratio(row.key)? })).collect()
}

/// The goal that is about all rows.
pub fn judge_against_rabbitmq(results: &Results) -> Judged {
    let goal = format!("{RABBITMQ_CPU_RATIO_MIN:.0} x less CPU a message on each row");
    let ratios = cpu_ratios(results, RABBITMQ);
    let (measured, verdict) = match ratios.iter().min_by(|a, b| a.ratio.total_cmp(&b.ratio)) {
        Some(least) => {
            let below = ratios.iter().filter(|row| row.ratio < RABBITMQ_CPU_RATIO_MIN).count();
            let measured =
                format!("least {:.1} x ({}); {below} of {} rows below", least.ratio, least.row.title(), ratios.len());
            (measured, Verdict::of(Bound::AtLeast(RABBITMQ_CPU_RATIO_MIN), least.ratio))
        }
        None => ("-".to_owned(), Verdict::NotMeasured),
    };
    Judged { goal, measured, verdict }
}

/// A bound as one writes it: 0.2, 12, 5,000.
fn trimmed(bound: f64) -> String {
    if bound.fract() == 0.0 { super::figures::grouped(bound) } else { format!("{bound}") }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::results;
    use super::*;

    fn row(key: &str) -> &'static Row {
        ROWS.iter().find(|row| row.key == key).unwrap()
    }

    fn all(results: &Results, key: &str) -> Vec<Judged> {
        row(key).goals.iter().map(|goal| judge(results, row(key), goal)).collect()
    }

    #[test]
    fn a_goal_in_its_own_unit_is_met_up_to_its_bound() {
        for (cpu_us, verdict) in [(0.2, Verdict::Met), (0.201, Verdict::Missed)] {
            let judged = all(&results(&[("16b", LEVERET, &[(Figure::CpuUs, cpu_us)])]), "16b");
            assert_eq!(judged[0].verdict, verdict, "{judged:?}");
            assert_eq!(judged[0].goal, "CPU a message at most 0.2 us");
            assert_eq!(judged[0].measured, format!("{cpu_us:.3} us"));
        }
    }

    #[test]
    fn a_goal_beside_the_relay_is_not_measured_without_one() {
        let ours = ("16b", LEVERET, &[(Figure::Rate, 3e6)][..]);
        assert_eq!(all(&results(&[ours]), "16b")[1].verdict, Verdict::NotMeasured);
        let judged = all(&results(&[ours, ("16b", RELAY, &[(Figure::Rate, 10e6)])]), "16b");
        assert_eq!(judged[1].verdict, Verdict::Met);
        assert_eq!(judged[1].goal, "rate at least 0.2 x the relay's rate");
        assert_eq!(judged[1].measured, "0.30 x (3,000,000 of 10,000,000)");
    }

    #[test]
    fn a_goal_may_look_at_another_figure_or_row() {
        let figures = &[(Figure::P50Us, 80.0), (Figure::FdatasyncUs, 50.0)][..];
        let judged = all(&results(&[("lone-persistent", LEVERET, figures)]), "lone-persistent");
        assert_eq!((judged[0].verdict, judged[0].measured.as_str()), (Verdict::Missed, "1.60 x (80.0 of 50.0)"));

        let one = ("1k", LEVERET, &[(Figure::Rate, 100.0)][..]);
        let many = ("100x100x100", LEVERET, &[(Figure::Rate, 75.0)][..]);
        assert_eq!(all(&results(&[one, many]), "100x100x100")[0].verdict, Verdict::Met);
        assert_eq!(all(&results(&[many]), "100x100x100")[0].verdict, Verdict::NotMeasured);
    }

    #[test]
    fn the_row_with_the_least_ratio_decides_against_rabbitmq() {
        let runs = |second| {
            results(&[
                ("16b", LEVERET, &[(Figure::CpuUs, 0.2)]),
                ("16b", RABBITMQ, &[(Figure::CpuUs, 20.0)]),
                ("1k", LEVERET, &[(Figure::CpuUs, 1.0)]),
                ("1k", RABBITMQ, &[(Figure::CpuUs, second)]),
            ])
        };
        assert_eq!(judge_against_rabbitmq(&runs(25.0)).verdict, Verdict::Met);
        let judged = judge_against_rabbitmq(&runs(15.0));
        assert_eq!(judged.verdict, Verdict::Missed);
        assert_eq!(judged.measured, "least 15.0 x (1 KiB, 1 to 1, auto-ack (transient)); 1 of 2 rows below");
        assert_eq!(judge_against_rabbitmq(&Results::default()).verdict, Verdict::NotMeasured);
    }
}
