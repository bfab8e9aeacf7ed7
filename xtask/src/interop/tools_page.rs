//! `docs/tools.md`: the tools for readers.

use super::Column;
use super::client::{Client, Kind};
use super::page::{reasons, summary};
use super::report::Cell;
use super::results::Results;
use super::tools::{Tool, tool};

const HEAD: &str = "\
# Which tools work

Who runs RabbitMQ has programs around it that declare, watch, check and draw. They are run here as they come from their
makers, against Leveret and, to prove what is expected of them, against RabbitMQ 3.10. The programs are in
[`interop/tools/`](../interop/README.md), a folder for each tool.

This page is written by a run of them:

    cargo xtask interop --peer

";

const WORDS: &str = "\
**ok**: it works. **FAILS**: it does not; the reason is below. **n/a**: that broker or that tool cannot do it; the
reason is below. **absent**: the tool could not be installed where this was written. **-**: it was not run.

";

/// The whole page.
pub fn page(tools: &[Client], results: &Results) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&summary(tools, results, Kind::Tool));
    text.push_str(WORDS);
    for client in tools {
        if let Some(tool) = tool(&client.name) {
            text.push_str(&section(client, tool, results));
        }
    }
    text.push_str(&reasons(tools, results));
    text.trim_end().to_owned() + "\n"
}

fn section(client: &Client, tool: &Tool, results: &Results) -> String {
    let [leveret, rabbitmq] = Column::ALL.map(Column::title);
    let mut text = format!("## {}\n\n{}.\n\n", tool.name, tool.what);
    text.push_str(&format!("| asked | what it means | {leveret} | {rabbitmq} |\n| --- | --- | --- | --- |\n"));
    for (name, meaning) in tool.asked {
        let [leveret, rabbitmq] = Column::ALL.map(|column| {
            let word = results.word(column, &client.name, name);
            match results.cell(column, &client.name, name) {
                Some(Cell::NotOk(_)) => format!("**{word}**"),
                _ => word.to_owned(),
            }
        });
        text.push_str(&format!("| {name} | {meaning} | {leveret} | {rabbitmq} |\n"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::interop::report::{Outcome, Report};
    use crate::interop::results::Kept;

    #[test]
    fn each_tool_has_its_own_table() {
        let client = Client { name: "nagios".to_owned(), folder: PathBuf::new(), kind: Kind::Tool };
        let cells = [("aliveness", Cell::Ok), ("queue", Cell::NotOk("too many".to_owned()))];
        let cells = cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect();
        let report = Outcome::Ran(Report { version: "nagios 2.0".to_owned(), cells });
        let mut leveret = Kept { broker_version: "0.1.0".to_owned(), ..Kept::default() };
        leveret.clients.insert("nagios".to_owned(), report);
        let text = page(&[client], &Results::for_tests(leveret, Kept::default()));
        for line in [
            "| [nagios](../interop/tools/nagios) | 2.0 | 1 of 2 | not run |",
            "| aliveness | check_rabbitmq_aliveness | ok | - |",
            "- nagios, queue on Leveret: `too many`",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("| **FAILS** | - |"), "{text}");
    }
}
