//! The matrix as the terminal shows it: a table for each broker and kind of client.

use super::Column;
use super::client::{Client, Kind};
use super::results::Results;

/// Clients of one kind and what at least one of them is asked to do.
pub struct Group<'a> {
    pub clients: Vec<&'a Client>,
    pub capabilities: Vec<&'static str>,
}

/// The AMQP clients, then each system that is asked for things of its own.
pub fn groups(clients: &[Client]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for client in clients {
        let expected = client.expected();
        let alike =
            |group: &&mut Group<'_>| client.kind == Kind::Client && group.capabilities.first() == expected.first();
        match groups.iter_mut().find(alike) {
            Some(group) => {
                group.clients.push(client);
                let more = expected.into_iter().filter(|name| !group.capabilities.contains(name));
                group.capabilities.extend(more.collect::<Vec<_>>());
            }
            None => groups.push(Group { clients: vec![client], capabilities: expected }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.clients.len()));
    groups
}

/// The tables of some brokers; one that nobody was run on has none.
pub fn table(clients: &[Client], results: &Results, columns: &[Column]) -> String {
    let mut tables = Vec::new();
    for column in columns.iter().copied() {
        let kept = results.of(column);
        if !clients.iter().any(|client| kept.clients.contains_key(&client.name)) {
            continue;
        }
        for group in groups(clients) {
            let title = format!("{} {}", column.title(), kept.broker_version);
            tables.push(one_table(&title, &group, results, column));
        }
    }
    tables.join("\n")
}

fn one_table(title: &str, group: &Group<'_>, results: &Results, column: Column) -> String {
    let name_width = group.clients.iter().map(|client| client.name.len()).max().unwrap_or(0).max(title.len());
    let mut text = format!("{title:name_width$}");
    for capability in &group.capabilities {
        text.push_str(&format!("  {capability:>6}"));
    }
    text.push('\n');
    for client in &group.clients {
        let mut row = format!("{:name_width$}", client.name);
        let expected = client.expected();
        for capability in &group.capabilities {
            let word = match expected.contains(capability) {
                true => results.word(column, &client.name, capability),
                false => "",
            };
            row.push_str(&format!("  {word:>width$}", width = capability.len().max(6)));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::interop::report::{Cell, Outcome, Report};
    use crate::interop::results::Kept;

    fn client(name: &str) -> Client {
        Client { name: name.to_owned(), folder: PathBuf::new(), kind: Kind::Client }
    }

    #[test]
    fn clients_that_are_asked_alike_share_a_table() {
        let clients = [client("celery"), client("pika"), client("rabbitmq-c")];
        let groups = groups(&clients);
        let names: Vec<Vec<&str>> =
            groups.iter().map(|group| group.clients.iter().map(|client| client.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["pika", "rabbitmq-c"], vec!["celery"]]);
        assert_eq!(groups[0].capabilities.last(), Some(&"tools"));
        assert_eq!(groups[1].capabilities.first(), Some(&"chain"));
    }

    #[test]
    fn each_broker_that_was_asked_has_its_rows() {
        let cells = [("declare", Cell::Ok), ("get", Cell::NotOk("empty".to_owned())), ("rpc", Cell::Skip("no".into()))];
        let cells = cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect();
        let report = Report { version: "pika 1".to_owned(), cells };
        let mut leveret = Kept { broker_version: "0.1.0".to_owned(), ..Kept::default() };
        leveret.clients.insert("pika".to_owned(), Outcome::Ran(report));
        leveret.clients.insert("bunny".to_owned(), Outcome::Unavailable("no ruby".to_owned()));
        let clients = [client("bunny"), client("pika")];
        let text = table(&clients, &Results::for_tests(leveret, Kept::default()), &Column::ALL);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().take(6).collect()).collect();
        assert_eq!(words[0][..4], ["Leveret", "0.1.0", "declare", "publish-confirms"]);
        assert_eq!(words[1][..3], ["bunny", "absent", "absent"]);
        assert_eq!(words[2][..5], ["pika", "ok", "-", "-", "FAILS"]);
        assert_eq!(words.len(), 3, "nothing was run on RabbitMQ: {text}");
        let widths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(widths[0], widths[2], "{text}");
    }
}
