//! `docs/clients.md`: the matrix for readers.

use super::Column;
use super::client::{Client, Kind};
use super::report::{Cell, Outcome};
use super::results::Results;
use super::table::{Group, groups};

const HEAD: &str = "\
# Which clients work

Leveret takes RabbitMQ's place when the programs that people have go on working. So the client libraries of many
languages are run against it and against RabbitMQ, and all are asked for the same things. The programs are in
[`interop/`](../interop/README.md), a folder for each client: they are also examples of how each client is used.

This page is written by a run of them:

    cargo xtask interop --peer

";

const CELLS: &str = "\
A cell has two words: how it went on Leveret / how it went on RabbitMQ.

| word | meaning |
| --- | --- |
| ok | It works: the program has compared bodies, headers, counts and reply codes with what they must be. |
| **FAILS** | It does not; the reason is below. |
| n/a | The client itself cannot do it; the reason is below. |
| absent | The client could not be installed where this was written. |
| - | It was not run. |

";

/// What a client is asked to show under each name.
const MEANINGS: [(&str, &str); 20] = [
    ("declare", "exchanges of every type, queues and bindings; routing through them; deletion"),
    ("publish-confirms", "each publish is confirmed"),
    ("consume-acks", "prefetch, ack, nack and reject, with requeue and redelivery"),
    ("get", "messages are fetched one by one, and an empty queue says so"),
    ("returns", "a mandatory message without a queue comes back with 312 NO_ROUTE"),
    ("ttl-dead-letter", "a message expires into a dead letter exchange, with its `x-death` header"),
    ("priorities", "a queue with `x-max-priority` delivers the highest first"),
    ("rpc", "requests and answers by direct reply-to (`amq.rabbitmq.reply-to`)"),
    ("topology-errors", "404 NOT_FOUND and 406 PRECONDITION_FAILED reach the program as such"),
    ("recovery", "the broker is restarted under a consumer, which then gets what is published afterwards"),
    ("tools", "the client's command line programs"),
    ("chain", "each task is given the result of the one before"),
    ("chord", "a task is called with the results of a group"),
    ("group", "tasks run side by side, their results in order"),
    ("eta-countdown", "a task is run not before its time"),
    ("retry", "a task that fails is tried again"),
    ("revoke", "a task that was called off is not run"),
    ("results", "values and exceptions come back by the result backend `rpc://`"),
    ("events", "a monitor sees tasks being received, started and done"),
    ("inspect", "`celery inspect` is answered by the worker (broadcast and reply)"),
];

/// The whole page.
pub fn page(clients: &[Client], results: &Results) -> String {
    let groups = groups(clients);
    let mut text = HEAD.to_owned();
    text.push_str(&summary(clients, results, Kind::Client));
    text.push_str("## The matrix\n\n");
    text.push_str(CELLS);
    for group in &groups {
        text.push_str(&matrix(group, results));
    }
    text.push_str(&reasons(clients, results));
    text.push_str("## What is asked\n\n| name | what it means |\n| --- | --- |\n");
    for (name, meaning) in MEANINGS.iter().filter(|(name, _)| is_asked(name, &groups)) {
        text.push_str(&format!("| {name} | {meaning} |\n"));
    }
    text
}

fn is_asked(name: &str, groups: &[Group<'_>]) -> bool {
    groups.iter().any(|group| group.capabilities.contains(&name))
}

/// The clients with their versions, and how many of the things asked each can do on each broker.
pub fn summary(clients: &[Client], results: &Results, kind: Kind) -> String {
    let [leveret, rabbitmq] = Column::ALL.map(|column| title(column, results));
    let mut text = format!("| {} | version | {leveret} | {rabbitmq} |\n| --- | --- | --- | --- |\n", kind.noun());
    for client in clients {
        let version = results.version(&client.name).unwrap_or("-");
        // Some folders are named otherwise than the library in them.
        let version = version.strip_prefix(&format!("{} ", client.name)).unwrap_or(version);
        let [leveret, rabbitmq] = Column::ALL.map(|column| count(client, results, column));
        text.push_str(&format!(
            "| [{name}](../{folder}/{name}) | {version} | {leveret} | {rabbitmq} |\n",
            folder = kind.folder(),
            name = client.name
        ));
    }
    text.push('\n');
    text
}

fn title(column: Column, results: &Results) -> String {
    format!("{} {}", column.title(), results.of(column).broker_version).trim_end().to_owned()
}

/// "10 of 10", of what the client is able to do at all.
fn count(client: &Client, results: &Results, column: Column) -> String {
    match results.of(column).clients.get(&client.name) {
        None => "not run".to_owned(),
        Some(Outcome::Unavailable(_)) => "absent".to_owned(),
        Some(Outcome::Ran(report)) => {
            let works = report.cells.values().filter(|cell| **cell == Cell::Ok).count();
            let skipped = report.cells.values().filter(|cell| matches!(cell, Cell::Skip(_))).count();
            format!("{works} of {}", report.cells.len() - skipped)
        }
    }
}

fn matrix(group: &Group<'_>, results: &Results) -> String {
    let mut text = format!("| client | {} |\n", group.capabilities.join(" | "));
    text.push_str(&format!("| --- |{}\n", " --- |".repeat(group.capabilities.len())));
    for client in &group.clients {
        let expected = client.expected();
        let cells = group.capabilities.iter().map(|capability| match expected.contains(capability) {
            true => Column::ALL.map(|column| word(results, column, client, capability)).join(" / "),
            false => String::new(),
        });
        text.push_str(&format!("| {} | {} |\n", client.name, cells.collect::<Vec<_>>().join(" | ")));
    }
    text.push('\n');
    text
}

fn word(results: &Results, column: Column, client: &Client, capability: &str) -> String {
    let word = results.word(column, &client.name, capability);
    if matches!(results.cell(column, &client.name, capability), Some(Cell::NotOk(_))) {
        return format!("**{word}**");
    }
    word.to_owned()
}

/// Why a cell is not `ok`, a line for each; nothing when all are.
pub fn reasons(clients: &[Client], results: &Results) -> String {
    let mut lines = Vec::new();
    for client in clients {
        for column in Column::ALL {
            if let Some(why) = results.of(column).clients.get(&client.name).and_then(Outcome::unavailable) {
                lines.push(format!("- {} is absent (run on {}): {why}\n", client.name, column.title()));
            }
        }
        for capability in client.expected() {
            lines.extend(reasons_of_cell(client, capability, results));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("### Reasons\n\n{}\n", lines.concat())
}

/// One line when it is the same on both brokers, as what a client cannot do always is.
fn reasons_of_cell(client: &Client, capability: &str, results: &Results) -> Vec<String> {
    let [leveret, rabbitmq] =
        Column::ALL.map(|column| results.cell(column, &client.name, capability).and_then(shown_reason));
    let name = &client.name;
    if leveret == rabbitmq {
        return leveret.into_iter().map(|why| format!("- {name}, {capability}: {why}\n")).collect();
    }
    let reasons = [(Column::Leveret, leveret), (Column::RabbitMq, rabbitmq)];
    let line = |(column, why): (Column, Option<String>)| {
        Some(format!("- {name}, {capability} on {}: {}\n", column.title(), why?))
    };
    reasons.into_iter().filter_map(line).collect()
}

/// The words of a person as they are, those of a program as code.
fn shown_reason(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Ok => None,
        Cell::NotOk(why) => Some(format!("`{}`", why.replace('`', "'"))),
        Cell::Skip(why) => Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::interop::report::{CELERY, COMMON, Report, TOOLS};
    use crate::interop::results::Kept;

    fn client(name: &str) -> Client {
        Client { name: name.to_owned(), folder: PathBuf::new(), kind: Kind::Client }
    }

    /// A report in which all works but what `cells` says.
    fn report(client: &Client, version: &str, cells: &[(&str, Cell)]) -> Outcome {
        let mut all: std::collections::BTreeMap<String, Cell> =
            client.expected().into_iter().map(|name| (name.to_owned(), Cell::Ok)).collect();
        all.extend(cells.iter().map(|(name, cell)| ((*name).to_owned(), cell.clone())));
        Outcome::Ran(Report { version: version.to_owned(), cells: all })
    }

    fn kept(version: &str, outcomes: Vec<(&str, Outcome)>) -> Kept {
        let clients = outcomes.into_iter().map(|(name, outcome)| (name.to_owned(), outcome)).collect();
        Kept { broker_version: version.to_owned(), clients }
    }

    #[test]
    fn the_page_shows_both_brokers_and_the_reasons() {
        let [bunny, java, pika] = ["bunny", "java", "pika"].map(client);
        let no_calls = Cell::Skip("it has no such call".to_owned());
        let late = Cell::NotOk("it came late".to_owned());
        let leveret = kept(
            "0.1.0",
            vec![
                ("java", report(&java, "amqp-client 5.0", &[])),
                ("pika", report(&pika, "pika 1.4.4", &[("returns", no_calls.clone()), ("ttl-dead-letter", late)])),
                ("bunny", Outcome::Unavailable("no ruby".to_owned())),
            ],
        );
        let rabbitmq = kept("3.10.8", vec![("pika", report(&pika, "pika 1.4.4", &[("returns", no_calls)]))]);
        let text = page(&[bunny, java, pika], &Results::for_tests(leveret, rabbitmq));
        for line in [
            "| client | version | Leveret 0.1.0 | RabbitMQ 3.10.8 |",
            "| [pika](../interop/pika) | 1.4.4 | 8 of 9 | 9 of 9 |",
            "| [java](../interop/java) | amqp-client 5.0 | 10 of 10 | not run |",
            "| [bunny](../interop/bunny) | - | absent | not run |",
            "- bunny is absent (run on Leveret): no ruby",
            "- pika, returns: it has no such call",
            "- pika, ttl-dead-letter on Leveret: `it came late`",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        let row = text.lines().find(|line| line.starts_with("| pika |")).unwrap();
        assert!(
            row.starts_with("| pika | ok / ok | ok / ok | ok / ok | ok / ok | n/a / n/a | **FAILS** / ok |"),
            "{row}"
        );
        assert!(!text.contains("tools"), "nobody is asked for tools:\n{text}");
    }

    #[test]
    fn what_is_asked_has_a_meaning() {
        for name in COMMON.iter().chain(&CELERY).chain([&TOOLS]) {
            assert!(MEANINGS.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
