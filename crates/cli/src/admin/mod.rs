//! `rabbitmqadmin`: the HTTP API by hand. There were two tools of that name, with a grammar each, and both are understood:
//! `declare queue name=x durable=true` of the first, `declare queue --name x --durable true` and `queues declare --name x` of
//! the second. The first prints what it did, the second prints nothing then; each has its own tables.

mod config;
mod grammar;
mod help;
mod objects;
mod options;
mod perform;
mod tables;

use crate::call::print;
use crate::failure::Failure;

pub(crate) use self::help::clap_command;
use self::options::Options;

/// Which of the two tools is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// `declare queue name=x`
    First,
    /// `declare queue --name x`
    Second,
}

/// Does what a command line asks for.
pub(crate) fn run(words: &[String]) -> Result<(), Failure> {
    let (options, rest) = options::parse(words)?;
    if options.wants_version {
        print(&format!("rabbitmqadmin {}\n", env!("CARGO_PKG_VERSION")));
        return Ok(());
    }
    if options.wants_help || rest.first().is_some_and(|word| word == "help") {
        print(&help::text());
        return Ok(());
    }
    let action = grammar::parse(&rest, &options)?;
    let options = Options { generation: action.generation, ..config::complete(options)? };
    let session = perform::Session::new(&options)?;
    print(&session.perform(&action)?);
    Ok(())
}
