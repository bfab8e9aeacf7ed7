//! Closing connections.

use http::Method;
use http::header::HeaderName;
use serde_json::Value;

use super::CTL;
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::url;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "close_connection",
        (CTL, Group::Operations),
        (2, 2),
        "<connectionpid> <explanation>",
        "Closes a connection, named by its pid or its name; the client is told why",
        close_connection,
    ),
    Command::new(
        "close_all_connections",
        (CTL, Group::Operations),
        (1, 1),
        "[--vhost <vhost> --limit <limit>] [-n <node> --global] [--per-connection-delay <delay>] <explanation>",
        "Closes the connections of a virtual host, or all",
        close_all_connections,
    )
    .with(&[Switch::flag("global"), Switch::count("limit"), Switch::count("per-connection-delay")]),
    Command::new(
        "close_all_user_connections",
        (CTL, Group::Operations),
        (2, 2),
        "<username> <explanation>",
        "Closes a user's connections",
        close_all_user_connections,
    ),
];

/// Tells a client why its connection is closed.
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-reason");

fn close_connection(call: &Call) -> Result<Output, Failure> {
    let (asked, reason) = (call.argument(0), call.argument(1));
    call.banner(format!("Closing connection {asked}, reason: {reason}..."));
    let names: Vec<String> = names(&call.list_path("connections?columns=name")?);
    let is_meant = |name: &&String| name.as_str() == asked || info::pid(call.node(), name) == asked;
    let Some(name) = names.iter().find(is_meant) else {
        return Err(if asked.starts_with('<') && asked.ends_with('>') && asked.matches('.').count() == 3 {
            Failure::unavailable("not_found")
        } else {
            Failure::error(Kind::Unavailable, format!("Error:\n{{:invalid_pid_syntax, \"{asked}\"}}"))
        });
    };
    close(call, name, reason)?;
    Ok(Output::Done)
}

fn names(connections: &[Value]) -> Vec<String> {
    connections.iter().map(|connection| info::text(connection, "name").to_owned()).collect()
}

/// Closes a connection; one that is gone already is as good.
fn close(call: &Call, name: &str, reason: &str) -> Result<(), Failure> {
    let path = url::path(&["connections", name]);
    let client = call.client().map_err(|trouble| call.failure(trouble))?;
    let answer =
        client.send_with(&Method::DELETE, &path, (&REASON, reason)).map_err(|trouble| call.failure(trouble))?;
    if answer.status == 404 { Ok(()) } else { crate::call::done(answer).map(|_| ()) }
}

fn close_all_connections(call: &Call) -> Result<Output, Failure> {
    let reason = call.argument(0);
    let limit: usize = call.options.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or_default();
    let is_global = call.has("global");
    let count = if limit == 0 { "all".to_owned() } else { limit.to_string() };
    if is_global {
        call.banner(format!(
            "Closing all connections to node {} (across all vhosts), reason: {reason}...",
            call.node()
        ));
    } else {
        call.banner(format!("Closing {count} connections in vhost {}, reason: {reason}...", call.vhost()));
    }
    let connections = if is_global {
        call.list_path("connections?columns=name")?
    } else {
        call.need_vhost(call.vhost())?;
        call.list_path(&format!("{}?columns=name", url::path(&["vhosts", call.vhost(), "connections"])))?
    };
    let names = names(&connections);
    let taken = if limit == 0 { names.len() } else { limit.min(names.len()) };
    for name in names.iter().take(taken) {
        close(call, name, reason)?;
        pause(call);
    }
    Ok(Output::Message(format!("Closed {taken} connections")))
}

/// Waits between two connections, if that is asked for.
fn pause(call: &Call) {
    let delay_ms = call.options.get("per-connection-delay").and_then(|delay| delay.parse().ok()).unwrap_or_default();
    std::thread::sleep(std::time::Duration::from_millis(delay_ms));
}

fn close_all_user_connections(call: &Call) -> Result<Output, Failure> {
    let (user, reason) = (call.argument(0), call.argument(1));
    call.banner(format!("Closing connections of user {user}, reason: {reason}..."));
    let path = url::path(&["connections", "username", user]);
    for name in names(&call.list_path(&path)?) {
        close(call, &name, reason)?;
    }
    Ok(Output::Done)
}
