//! The commands, by what they are about. What each takes stands in the tables of the modules.

mod alarms;
mod cluster;
mod connections;
mod definitions;
mod environment;
mod eval;
mod flags;
mod global_parameters;
mod health;
mod info;
mod life;
mod limits;
mod listeners;
mod listings;
mod logs;
mod memory;
mod parameters;
mod permissions;
mod plugins;
mod policies;
mod queues;
mod quorum;
mod report;
mod runtime;
mod status;
mod streams;
mod tools;
mod upgrade;
mod users;
mod vhosts;
mod wait;

use std::sync::LazyLock;

use crate::call::Call;
use crate::command::Command;
use crate::failure::{Failure, Kind};
use crate::personality::Tool;

pub(crate) use self::users::hash_of;

/// `rabbitmqctl`
pub(crate) const CTL: &[Tool] = &[Tool::Ctl];
/// `rabbitmq-diagnostics`
pub(crate) const DIAGNOSTICS: &[Tool] = &[Tool::Diagnostics];
/// Both.
pub(crate) const BOTH: &[Tool] = &[Tool::Ctl, Tool::Diagnostics];
/// All.
pub(crate) const EVERY: &[Tool] =
    &[Tool::Ctl, Tool::Diagnostics, Tool::Queues, Tool::Streams, Tool::Plugins, Tool::Upgrade];

static ALL: LazyLock<Vec<&'static Command>> = LazyLock::new(|| {
    let sets: [&'static [Command]; 30] = [
        alarms::COMMANDS,
        cluster::COMMANDS,
        connections::COMMANDS,
        definitions::COMMANDS,
        environment::COMMANDS,
        eval::COMMANDS,
        flags::COMMANDS,
        global_parameters::COMMANDS,
        health::COMMANDS,
        life::COMMANDS,
        limits::COMMANDS,
        listeners::COMMANDS,
        listings::COMMANDS,
        logs::COMMANDS,
        memory::COMMANDS,
        parameters::COMMANDS,
        permissions::COMMANDS,
        plugins::COMMANDS,
        policies::COMMANDS,
        queues::COMMANDS,
        quorum::COMMANDS,
        report::COMMANDS,
        runtime::COMMANDS,
        status::COMMANDS,
        streams::COMMANDS,
        tools::COMMANDS,
        upgrade::COMMANDS,
        users::COMMANDS,
        vhosts::COMMANDS,
        wait::COMMANDS,
    ];
    sets.into_iter().flatten().collect()
});

/// Commands that do not ask whether clients are served: they concern the process, or files, or change just that.
const WITHOUT_APP: &[&str] = &[
    "autocomplete",
    "await_startup",
    "check_running",
    "cipher_suites",
    "consume_event_stream",
    "decode",
    "decrypt_conf_value",
    "directories",
    "disable",
    "enable",
    "encode",
    "encrypt_conf_value",
    "environment",
    "erlang_version",
    "eval",
    "eval_file",
    "exec",
    "force_boot",
    "force_reset",
    "hash_password",
    "help",
    "is_booting",
    "is_enabled",
    "is_running",
    "join_cluster",
    "list",
    "list_ciphers",
    "list_hashes",
    "log_location",
    "log_tail",
    "log_tail_stream",
    "os_env",
    "ping",
    "report",
    "reset",
    "resolve_hostname",
    "rotate_logs",
    "server_version",
    "set",
    "set_log_level",
    "shutdown",
    "start_app",
    "stop",
    "stop_app",
    "tls_versions",
    "version",
    "wait",
];

/// Fails if the command needs a node that serves clients and there is none.
pub(crate) fn check_environment(call: &Call) -> Result<(), Failure> {
    if WITHOUT_APP.contains(&call.command.name) || health::runs(call.status()?) {
        return Ok(());
    }
    let text = "Error: this command requires the 'rabbit' app to be running on the target node. Start it with 'rabbitmqctl start_app'.";
    Err(crate::help::misused(call, Kind::Usage, text))
}

/// The commands of all tools.
pub(crate) fn all() -> &'static [&'static Command] {
    &ALL
}

/// The command of a tool.
pub(crate) fn find(tool: Tool, name: &str) -> Option<&'static Command> {
    all().iter().copied().find(|command| command.name == name && command.is_of(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_has_one_command_of_a_name() {
        for tool in EVERY {
            let mut names: Vec<&str> =
                all().iter().filter(|command| command.is_of(*tool)).map(|command| command.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair.first() != pair.last()), "{tool:?}: {names:?}");
        }
    }

    #[test]
    fn every_command_is_described() {
        for command in all() {
            assert!(!command.about.is_empty() && command.least <= command.most, "{}", command.name);
        }
        let known = |name: &&str| all().iter().any(|command| command.name == *name);
        assert!(WITHOUT_APP.iter().all(known));
    }

    #[test]
    fn commands_of_scripts_are_there() {
        for (tool, names) in [
            (
                Tool::Ctl,
                "status cluster_status list_queues add_user set_permissions set_policy await_startup wait stop eval report",
            ),
            (
                Tool::Diagnostics,
                "ping check_running check_port_connectivity check_local_alarms status list_queues log_tail",
            ),
            (Tool::Plugins, "list enable disable set is_enabled directories help version"),
            (Tool::Queues, "peek rebalance quorum_status grow shrink add_member check_if_node_is_quorum_critical"),
            (Tool::Streams, "stream_status add_replica set_stream_retention_policy"),
            (Tool::Upgrade, "drain revive await_online_quorum_plus_one post_upgrade"),
        ] {
            for name in names.split(' ') {
                assert!(find(tool, name).is_some(), "{tool:?} {name}");
                assert!(find(Tool::Leveretctl, name).is_some(), "{name}");
            }
        }
        assert!(find(Tool::Ctl, "check_running").is_none());
    }
}
