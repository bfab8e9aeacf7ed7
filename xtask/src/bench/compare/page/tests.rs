//! Pages of made-up results.

use super::super::figures::tests::{Made, results};
use super::*;

const OURS: Made<'_> = ("16b", LEVERET, &[(Figure::Rate, 5e6), (Figure::CpuUs, 0.194), (Figure::ResidentMib, 20.0)]);
const RELAYED: Made<'_> = ("16b", RELAY, &[(Figure::Rate, 20e6), (Figure::CpuUs, 0.05)]);
const THEIRS: Made<'_> = ("16b", RABBITMQ, &[(Figure::Rate, 1e5), (Figure::CpuUs, 9.7)]);

fn has(page: &str, line: &str) {
    assert!(page.lines().any(|other| other == line), "{line}\nis not in\n{page}");
}

#[test]
fn the_page_opens_with_ratios_and_judges_each_goal() {
    let page = page(&results(&[OURS, RELAYED, THEIRS]));
    has(
        &page,
        "**Beside rabbitmq 1.0** on the same machine in the same run: 50.0 (50.0 to 50.0) times the messages a second, 50.0 \
        (50.0 to 50.0) times less CPU a message (the median of the rows below; the least and the most of them).",
    );
    has(&page, "| 16 B, 1 to 1, auto-ack | transient | 50.0 | 50.0 |");
    has(&page, "| 16 B, 1 to 1, auto-ack | transient | CPU a message at most 0.2 us | 0.194 us | met |");
    let relay = "| rate at least 0.2 x the relay's rate | 0.25 x (5,000,000 of 20,000,000) | met |";
    has(&page, &format!("| 16 B, 1 to 1, auto-ack | transient {relay}"));
    has(&page, "| 1 KiB, 1 to 1, auto-ack | transient | CPU a message at most 0.6 us | - | not measured |");
    assert!(page.contains("least 50.0 x (16 B, 1 to 1, auto-ack (transient)); 0 of 1 rows below | met |"), "{page}");
    has(&page, "| work | Leveret | relay | Leveret : relay | rabbitmq 1.0 | Leveret : rabbitmq 1.0 |");
    has(&page, "| 16 B, 1 to 1, auto-ack (transient) | 5,000,000 | 20,000,000 | 0.25 | 100,000 | 50.0 |");
    has(&page, "| 16 B, 1 to 1, auto-ack (transient) | 0.194 | 0.050 | 0.26 | 9.700 | 50.0 |");
    assert!(page.contains("median of 2 rounds") && page.contains("has 2 s."), "{page}");
    assert!(page.contains("```\ncargo xtask bench compare\n```"), "{page}");
}

#[test]
fn a_missed_goal_is_called_missed() {
    let page = page(&results(&[("16b", LEVERET, &[(Figure::CpuUs, 0.25)])]));
    has(&page, "| 16 B, 1 to 1, auto-ack | transient | CPU a message at most 0.2 us | 0.250 us | **missed** |");
    assert!(page.contains(" goals 0 are met, 1 missed, "), "{page}");
}

#[test]
fn without_peers_and_relay_there_are_no_columns_for_them() {
    let page = page(&results(&[OURS]));
    assert!(page.starts_with("# Performance\n\nNo other broker was measured"), "{page}");
    has(&page, "| work | Leveret |");
    has(&page, "| 16 B, 1 to 1, auto-ack (transient) | 5,000,000 |");
    has(&page, "| against RabbitMQ on the same table | - | 20 x less CPU a message on each row | - | not measured |");
}

#[test]
fn a_named_peer_and_long_rows_are_in_the_command() {
    let long = ("10m", LEVERET, &[(Figure::ResidentMaxMib, 180.0)][..]);
    let page = page(&results(&[OURS, long, ("16b", "lavinmq", &[(Figure::Rate, 1e6)])]));
    assert!(page.contains("```\ncargo xtask bench compare --long --peer lavinmq=PORT\n```"), "{page}");
    assert!(page.contains("lavinmq 1.0 ran already"), "{page}");
    assert!(page.contains("Ten million messages were run once."), "{page}");
    assert!(page.contains("5.00 (5.00 to 5.00) times the messages a second, ? times less CPU"), "{page}");
}

#[test]
fn latencies_and_other_figures_have_their_tables() {
    let figures = &[(Figure::P50Us, 80.0), (Figure::P99Us, 200.0), (Figure::MaxUs, 900.5), (Figure::FdatasyncUs, 50.0)];
    let page = page(&results(&[("lone-persistent", LEVERET, figures)]));
    has(&page, "| one confirm at a time, 1 KiB (persistent, confirmed) | 80.0 / 200 / 900 |");
    has(&page, "| one confirm at a time, 1 KiB (persistent, confirmed) | median fdatasync, us | 50.0 |");
    has(&page, "| Leveret | when the fdatasync that covers it is done |");
}

#[test]
fn what_a_confirm_means_is_known_by_name() {
    assert!(meaning_of_confirm("RabbitMQ 3.10.8").contains("fsync"));
    assert!(meaning_of_confirm("RabbitMQ 4.3.0").contains("not synced"));
    assert!(meaning_of_confirm("Other 1").contains("not looked into"));
}
