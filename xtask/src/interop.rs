//! `cargo xtask interop`: other people's clients and tools against our broker and against RabbitMQ. `interop/README.md`
//! says what a folder holds. What every client is asked to do makes the matrix of `docs/clients.md`, what the tools do
//! makes `docs/tools.md`; pika and lapin have suites of their own besides.

mod broker;
mod client;
mod page;
mod report;
mod results;
mod suites;
mod table;
pub mod tools;
mod tools_page;

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::Args;

use crate::broker::Broker;
use crate::plan::Plan;
use crate::workspace::Workspace;
use broker::MatrixBroker;
use client::{Client, Kind};
use report::Outcome;
use results::Results;
use suites::Suite;

#[derive(Args)]
pub struct InteropArgs {
    /// The clients and tools to run, by their folders in interop/ and interop/tools/; all of them when none is named
    clients: Vec<String>,
    /// Run the matrix against Debian's rabbitmq-server too, and the suites of pika and lapin against it alone: that proves
    /// the tests themselves
    #[arg(long)]
    peer: bool,
    /// Write docs/clients.md and docs/tools.md even if not all were run on both brokers, from what earlier runs left
    #[arg(long)]
    page: bool,
}

/// The broker that a column of the matrix stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Leveret,
    RabbitMq,
}

impl Column {
    pub const ALL: [Self; 2] = [Self::Leveret, Self::RabbitMq];

    pub fn title(self) -> &'static str {
        match self {
            Self::Leveret => "Leveret",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    /// The name of its file of results, and of its logs.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Leveret => "leveret",
            Self::RabbitMq => "rabbitmq",
        }
    }
}

/// The clients alone: those named, or all.
pub fn interop(workspace: &Workspace, args: &InteropArgs) -> anyhow::Result<()> {
    let clients = client::found(workspace)?;
    check_names(&args.clients, &clients)?;
    let chosen: Vec<Client> = clients.iter().filter(|client| args.names(&client.name)).cloned().collect();
    let suites: Vec<Suite> = Suite::ALL.into_iter().filter(|suite| args.names(suite.folder())).collect();
    let mut plan = Plan::default();
    let binary = crate::broker::binary(workspace)?;
    if !args.peer {
        suite_steps(&mut plan, workspace, &suites, &Broker::Built(binary.clone()));
    }
    leveret_column(&mut plan, workspace, &chosen, binary);
    if args.peer {
        if !suites.is_empty() {
            let peer = plan.attempt("interop: start RabbitMQ for the suites", true, || Broker::ready(workspace, true));
            peer.inspect(|peer| suite_steps(&mut plan, workspace, &suites, peer));
        }
        // That one is gone by now: the matrix stops and starts its own.
        let start = || MatrixBroker::rabbitmq(workspace);
        column(&mut plan, workspace, &chosen, "interop: start RabbitMQ for the matrix", start);
    }
    show(workspace, &mut plan, args, &clients, &chosen)?;
    plan.finish()
}

/// The clients as part of the full test: suites and matrix against the broker that was built. The page is left alone.
pub fn steps(plan: &mut Plan, workspace: &Workspace, binary: PathBuf) {
    suite_steps(plan, workspace, &Suite::ALL, &Broker::Built(binary.clone()));
    let clients = match client::found(workspace) {
        Ok(clients) => clients,
        Err(error) => {
            plan.step(MATRIX, || Err(error));
            return;
        }
    };
    leveret_column(plan, workspace, &clients, binary);
    plan.attempt(MATRIX, true, || print_matrix(workspace, &clients, &[Column::Leveret]));
}

/// The names of all that [`steps`] would run.
pub fn step_names(workspace: &Workspace) -> Vec<String> {
    let clients = client::found(workspace).unwrap_or_default();
    let suites = Suite::ALL.iter().map(|suite| suite.step_name().to_owned());
    suites.chain(clients.iter().map(|client| step_name(client, Column::Leveret))).collect()
}

const MATRIX: &str = "interop: the matrix";

impl InteropArgs {
    fn columns(&self) -> &'static [Column] {
        if self.peer { &Column::ALL } else { &[Column::Leveret] }
    }

    fn names(&self, folder: &str) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|name| name == folder)
    }
}

fn check_names(names: &[String], clients: &[Client]) -> anyhow::Result<()> {
    let mut known: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    known.extend(Suite::ALL.iter().map(|suite| suite.folder()));
    known.sort_unstable();
    known.dedup();
    for name in names {
        ensure!(known.contains(&name.as_str()), "there is no client {name}, only {}", known.join(", "));
    }
    Ok(())
}

fn suite_steps(plan: &mut Plan, workspace: &Workspace, suites: &[Suite], broker: &Broker) {
    for suite in suites {
        plan.step(suite.step_name(), || suite.run(workspace, broker));
    }
}

fn leveret_column(plan: &mut Plan, workspace: &Workspace, clients: &[Client], binary: PathBuf) {
    let start = || MatrixBroker::leveret(workspace, binary);
    column(plan, workspace, clients, "interop: start Leveret for the matrix", start);
}

/// Runs each client against one broker and keeps what it reports.
fn column(
    plan: &mut Plan,
    workspace: &Workspace,
    clients: &[Client],
    start_name: &'static str,
    start: impl FnOnce() -> anyhow::Result<MatrixBroker>,
) {
    if clients.is_empty() {
        return;
    }
    let Some(mut broker) = plan.attempt(start_name, true, start) else {
        return;
    };
    let must_run = std::env::var("CI").is_ok_and(|value| value == "true");
    for client in clients {
        client_step(plan, workspace, client, &mut broker, must_run);
    }
}

fn client_step(plan: &mut Plan, workspace: &Workspace, client: &Client, broker: &mut MatrixBroker, must_run: bool) {
    plan.step_unless(step_name(client, broker.column()), || {
        Results::keep(workspace, broker, &client.name, None)?;
        let outcome = client.run(workspace, broker)?;
        Results::keep(workspace, broker, &client.name, Some(&outcome))?;
        judged(&outcome, &client.expected(), must_run)
    });
}

/// Why the client could not be run here, if that may be; an error when something did not work.
fn judged(outcome: &Outcome, expected: &[&str], must_run: bool) -> anyhow::Result<Option<String>> {
    match outcome.unavailable().map(|why| format!("not available here: {why}")) {
        Some(why) if must_run => bail!(why),
        Some(why) => Ok(Some(why)),
        None => outcome.verdict(expected).map(|()| None),
    }
}

fn step_name(client: &Client, column: Column) -> String {
    match column {
        Column::Leveret => format!("interop: {}", client.name),
        Column::RabbitMq => format!("interop: {} on RabbitMQ", client.name),
    }
}

/// Prints the matrix, and writes the pages when this run has the say.
fn show(
    workspace: &Workspace,
    plan: &mut Plan,
    args: &InteropArgs,
    clients: &[Client],
    chosen: &[Client],
) -> anyhow::Result<()> {
    if chosen.is_empty() {
        return Ok(());
    }
    plan.attempt(MATRIX, true, || print_matrix(workspace, chosen, args.columns()));
    let results = Results::load(workspace)?;
    for kind in Kind::ALL.into_iter().filter(|kind| chosen.iter().any(|client| client.kind == *kind)) {
        let all: Vec<Client> = clients.iter().filter(|client| client.kind == kind).cloned().collect();
        let complete = args.clients.is_empty() && all.iter().all(|client| results.knows(&client.name));
        if !(complete || args.page) {
            println!("{} is left as it is: a run of all on both brokers writes it, or --page", kind.page());
            continue;
        }
        let text = match kind {
            Kind::Client => page::page(&all, &results),
            Kind::Tool => tools_page::page(&all, &results),
        };
        fs::write(workspace.root.join(kind.page()), text)?;
        println!("{} is written", kind.page());
    }
    Ok(())
}

fn print_matrix(workspace: &Workspace, clients: &[Client], columns: &[Column]) -> anyhow::Result<()> {
    println!("{}", table::table(clients, &Results::load(workspace)?, columns));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_cannot_be_had_is_skipped_unless_it_must_run() {
        let outcome = Outcome::Unavailable("no ruby".to_owned());
        assert_eq!(judged(&outcome, &[], false).unwrap().as_deref(), Some("not available here: no ruby"));
        assert_eq!(judged(&outcome, &[], true).unwrap_err().to_string(), "not available here: no ruby");
        let lines = ["client x 1", "ok get"].map(str::to_owned);
        let ran = Outcome::read(&lines, Some(0), &["get"]).unwrap();
        assert_eq!(judged(&ran, &["get"], true).unwrap(), None);
        assert!(judged(&Outcome::read(&lines, Some(1), &["get", "rpc"]).unwrap(), &["get", "rpc"], false).is_err());
    }

    #[test]
    fn only_known_clients_may_be_named() {
        let clients = [Client { name: "celery".to_owned(), folder: PathBuf::new(), kind: Kind::Client }];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(check_names(&names(&["celery", "pika"]), &clients).is_ok());
        let error = check_names(&names(&["rhea"]), &clients).unwrap_err().to_string();
        assert_eq!(error, "there is no client rhea, only celery, lapin, pika");
    }
}
