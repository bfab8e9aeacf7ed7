//! Permissions, and topic permissions.

use serde_json::{Value, json};

use super::{BOTH, CTL};
use crate::call::Call;
use crate::command::{Command, Group};
use crate::commands::info;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

const GROUP: Group = Group::AccessControl;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "set_permissions",
        (CTL, GROUP),
        (4, 4),
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        "Sets what a user may do in a virtual host: three regular expressions over names",
        set_permissions,
    ),
    Command::new(
        "set_permissions_globally",
        (CTL, GROUP),
        (4, 4),
        "<username> <conf> <write> <read>",
        "Sets what a user may do in every virtual host there is now",
        set_permissions_globally,
    ),
    Command::new(
        "clear_permissions",
        (CTL, GROUP),
        (1, 1),
        "[--vhost <vhost>] <username>",
        "Takes a user's access to a virtual host away",
        clear_permissions,
    ),
    Command::new(
        "list_permissions",
        (BOTH, GROUP),
        (0, 0),
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists who may do what in a virtual host",
        list_permissions,
    ),
    Command::new(
        "list_user_permissions",
        (BOTH, GROUP),
        (1, 1),
        "[--no-table-headers] <username>",
        "Lists what a user may do, by virtual host",
        list_user_permissions,
    ),
    Command::new(
        "set_topic_permissions",
        (CTL, GROUP),
        (4, 4),
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        "Sets which routing keys a user may use with a topic exchange",
        set_topic_permissions,
    ),
    Command::new(
        "clear_topic_permissions",
        (CTL, GROUP),
        (1, 2),
        "[--vhost <vhost>] <username> [<exchange>]",
        "Takes such limits away, for one exchange or for all",
        clear_topic_permissions,
    ),
    Command::new(
        "list_topic_permissions",
        (BOTH, GROUP),
        (0, 0),
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists topic permissions in a virtual host",
        list_topic_permissions,
    ),
    Command::new(
        "list_user_topic_permissions",
        (BOTH, GROUP),
        (1, 1),
        "[--no-table-headers] <username>",
        "Lists a user's topic permissions",
        list_user_topic_permissions,
    ),
];

fn set_permissions(call: &Call) -> Result<Output, Failure> {
    let (user, vhost) = (call.argument(0), call.vhost());
    call.banner(format!("Setting permissions for user \"{user}\" in vhost \"{vhost}\" ..."));
    need(call, user, Some(vhost))?;
    grant(call, user, vhost)
}

fn set_permissions_globally(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Setting permissions for user \"{user}\" in all virtual hosts ..."));
    need(call, user, None)?;
    for vhost in call.list_path("vhosts?columns=name")? {
        grant(call, user, info::text(&vhost, "name"))?;
    }
    Ok(Output::Done)
}

fn grant(call: &Call, user: &str, vhost: &str) -> Result<Output, Failure> {
    let body = json!({"configure": call.argument(1), "write": call.argument(2), "read": call.argument(3)});
    call.put(&["permissions", vhost, user], &body)?;
    Ok(Output::Done)
}

/// Fails if the user, or the vhost, is not there.
fn need(call: &Call, user: &str, vhost: Option<&str>) -> Result<(), Failure> {
    if call.find(&["users", user])?.is_none() {
        return Err(Failure::error(Kind::NoUser, format!("User {user} does not exist")));
    }
    if let Some(vhost) = vhost
        && call.find(&["vhosts", vhost])?.is_none()
    {
        return Err(Failure::unavailable(format!("Virtual host {vhost} does not exist")));
    }
    Ok(())
}

fn clear_permissions(call: &Call) -> Result<Output, Failure> {
    let (user, vhost) = (call.argument(0), call.vhost());
    call.banner(format!("Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ..."));
    need(call, user, Some(vhost))?;
    call.delete(&["permissions", vhost, user])?;
    Ok(Output::Done)
}

fn list_permissions(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing permissions for vhost \"{}\" ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    let found = call.list(&["vhosts", call.vhost(), "permissions"])?;
    Ok(columns(&found, &["user", "configure", "write", "read"]))
}

fn list_user_permissions(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Listing permissions for user \"{user}\" ..."));
    need_user(call, user)?;
    Ok(columns(&call.list(&["users", user, "permissions"])?, &["vhost", "configure", "write", "read"]))
}

fn need_user(call: &Call, user: &str) -> Result<Value, Failure> {
    call.find(&["users", user])?.ok_or_else(|| Failure::no_user(user))
}

fn set_topic_permissions(call: &Call) -> Result<Output, Failure> {
    let (user, exchange, vhost) = (call.argument(0), call.argument(1), call.vhost());
    call.banner(format!("Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."));
    need(call, user, Some(vhost))?;
    let body = json!({"exchange": exchange, "write": call.argument(2), "read": call.argument(3)});
    call.put(&["topic-permissions", vhost, user], &body)?;
    Ok(Output::Done)
}

fn clear_topic_permissions(call: &Call) -> Result<Output, Failure> {
    let (user, vhost) = (call.argument(0), call.vhost());
    let exchange = call.arguments.get(1);
    let on = exchange.map(|exchange| format!("on \"{exchange}\" ")).unwrap_or_default();
    call.banner(format!("Clearing topic permissions {on}for user \"{user}\" in vhost \"{vhost}\" ..."));
    need(call, user, Some(vhost))?;
    match exchange {
        Some(exchange) => call.delete(&["topic-permissions", vhost, user, exchange])?,
        None => call.delete(&["topic-permissions", vhost, user])?,
    };
    Ok(Output::Done)
}

fn list_topic_permissions(call: &Call) -> Result<Output, Failure> {
    call.banner(format!("Listing topic permissions for vhost \"{}\" ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    let found = call.list(&["vhosts", call.vhost(), "topic-permissions"])?;
    Ok(columns(&found, &["user", "exchange", "write", "read"]))
}

fn list_user_topic_permissions(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Listing topic permissions for user \"{user}\" ..."));
    need_user(call, user)?;
    Ok(columns(&call.list(&["users", user, "topic-permissions"])?, &["vhost", "exchange", "write", "read"]))
}

fn columns(found: &[Value], names: &[&str]) -> Output {
    let rows = found.iter().map(|one| names.iter().map(|name| Term::from_json(&one[*name])).collect());
    Output::rows(names, rows.collect())
}
