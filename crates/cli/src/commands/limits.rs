//! Limits of virtual hosts and users.

use serde_json::{Map, Value, json};

use super::policies::json_argument;
use super::{BOTH, CTL};
use crate::call::Call;
use crate::command::{Command, Group, Switch};
use crate::failure::{Failure, Kind};
use crate::format::cell;
use crate::output::Output;
use crate::term::Term;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "set_vhost_limits",
        (CTL, Group::VirtualHosts),
        (1, 1),
        "[--vhost <vhost>] <definition>",
        "Sets how many connections and queues a virtual host may have: {\"max-connections\": 10, \"max-queues\": 10}",
        set_vhost_limits,
    ),
    Command::new(
        "clear_vhost_limits",
        (CTL, Group::VirtualHosts),
        (0, 0),
        "[--vhost <vhost>]",
        "Removes these limits",
        clear_vhost_limits,
    ),
    Command::new(
        "list_vhost_limits",
        (BOTH, Group::VirtualHosts),
        (0, 0),
        "[--vhost <vhost>] [--global]",
        "Shows the limits of a virtual host, or of all",
        list_vhost_limits,
    )
    .with(&[Switch::flag("global")]),
    Command::new(
        "set_user_limits",
        (CTL, Group::Users),
        (2, 2),
        "<username> <definition>",
        "Sets how many connections and channels a user may have: {\"max-connections\": 10, \"max-channels\": 10}",
        set_user_limits,
    ),
    Command::new(
        "clear_user_limits",
        (CTL, Group::Users),
        (2, 2),
        "<username> <limit_type> | all",
        "Removes limits of a user",
        clear_user_limits,
    ),
    Command::new(
        "list_user_limits",
        (BOTH, Group::Users),
        (0, 0),
        "[--user <username>] [--global]",
        "Shows the limits of a user, or of all",
        list_user_limits,
    )
    .with(&[Switch::text("user"), Switch::flag("global")]),
];

const VHOST_LIMITS: [&str; 2] = ["max-connections", "max-queues"];
const USER_LIMITS: [&str; 2] = ["max-connections", "max-channels"];

fn set_vhost_limits(call: &Call) -> Result<Output, Failure> {
    let vhost = call.vhost();
    call.banner(format!("Setting vhost limits to \"{}\" for vhost \"{vhost}\" ...", call.argument(0)));
    let limits = definition(call, 0)?;
    call.need_vhost(vhost)?;
    let unknown = unknown(&limits, &VHOST_LIMITS);
    if !unknown.is_empty() {
        return Err(Failure::unavailable(format!("Validation failed\n\nUnrecognised terms [{unknown}] in limits\n")));
    }
    set(call, ["vhost-limits", vhost], &VHOST_LIMITS, &limits)
}

fn definition(call: &Call, position: usize) -> Result<Map<String, Value>, Failure> {
    match json_argument(call, position)? {
        Value::Object(limits) => Ok(limits),
        _ => Err(Failure::unavailable("JSON decoding error. Reason: badarg")),
    }
}

/// Limits that there are not, as Erlang shows them.
fn unknown(limits: &Map<String, Value>, known: &[&str]) -> String {
    let unknown = limits.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    unknown
        .map(|(name, value)| format!("{{<<\"{name}\">>,{}}}", cell(&Term::from_json(value))))
        .collect::<Vec<_>>()
        .join(",")
}

/// Sets limits in place of all those before.
fn set(call: &Call, [kind, of]: [&str; 2], known: &[&str], limits: &Map<String, Value>) -> Result<Output, Failure> {
    for name in known {
        match limits.get(*name) {
            Some(value) => {
                call.put(&[kind, of, name], &json!({"value": value}))?;
            }
            None => {
                call.delete(&[kind, of, name])?;
            }
        }
    }
    Ok(Output::Done)
}

fn clear_vhost_limits(call: &Call) -> Result<Output, Failure> {
    let vhost = call.vhost();
    call.banner(format!("Clearing vhost \"{vhost}\" limits ..."));
    call.need_vhost(vhost)?;
    set(call, ["vhost-limits", vhost], &VHOST_LIMITS, &Map::new())
}

fn list_vhost_limits(call: &Call) -> Result<Output, Failure> {
    if call.has("global") {
        call.banner("Listing limits for all vhosts ...");
        return Ok(every(&call.list(&["vhost-limits"])?, "vhost"));
    }
    call.banner(format!("Listing limits for vhost \"{}\" ...", call.vhost()));
    call.need_vhost(call.vhost())?;
    let found = call.list(&["vhost-limits", call.vhost()])?;
    let limits =
        found.first().map(|one| &one["value"]).filter(|limits| limits.as_object().is_some_and(|all| !all.is_empty()));
    Ok(match limits {
        Some(limits) => Output::report(limits.to_string(), Term::from_json(limits)),
        None => Output::rows(&[], Vec::new()),
    })
}

fn every(found: &[Value], of: &str) -> Output {
    let rows = found.iter().map(|one| vec![Term::from_json(&one[of]), Term::text(one["value"].to_string())]);
    Output::rows(&[of, "limits"], rows.collect())
}

fn need_user(call: &Call, user: &str) -> Result<Value, Failure> {
    call.find(&["users", user])?.ok_or_else(|| Failure::no_user(user))
}

fn set_user_limits(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Setting user limits to \"{}\" for user \"{user}\" ...", call.argument(1)));
    let limits = definition(call, 1)?;
    need_user(call, user)?;
    let unknown = unknown(&limits, &USER_LIMITS);
    if !unknown.is_empty() {
        return Err(Failure::unavailable(format!("Unrecognised terms [{unknown}] in user-limits")));
    }
    for (name, value) in &limits {
        call.put(&["user-limits", user, name], &json!({"value": value}))?;
    }
    Ok(Output::Done)
}

fn clear_user_limits(call: &Call) -> Result<Output, Failure> {
    let (user, limit) = (call.argument(0), call.argument(1));
    let names = if limit == "all" { USER_LIMITS.to_vec() } else { vec![limit] };
    if limit == "all" {
        call.banner(format!("Clearing all limits for user \"{user}\" ..."));
    } else {
        call.banner(format!("Clearing \"{limit}\" limit for user \"{user}\" ..."));
    }
    need_user(call, user)?;
    if !names.iter().all(|name| USER_LIMITS.contains(name)) {
        return Err(Failure::error(Kind::Data, format!("{limit} is no limit of users: max-connections, max-channels")));
    }
    for name in names {
        call.delete(&["user-limits", user, name])?;
    }
    Ok(Output::Done)
}

fn list_user_limits(call: &Call) -> Result<Output, Failure> {
    if call.has("global") {
        call.banner("Listing limits for all users ...");
        return Ok(every(&call.list(&["user-limits"])?, "user"));
    }
    let user = call.options.get("user").unwrap_or("guest");
    call.banner(format!("Listing limits for user \"{user}\" ..."));
    need_user(call, user)?;
    let found = call.list(&["user-limits", user])?;
    let limits = found.first().map_or_else(|| json!({}), |one| one["value"].clone());
    Ok(Output::report(limits.to_string(), Term::from_json(&limits)))
}
