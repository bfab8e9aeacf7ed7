//! The program as those see it who manage the broker.

use std::collections::BTreeMap;
use std::path::PathBuf;

use leveret_config::settings::Settings;
use leveret_config::{Explained, Loaded};
use leveret_server::node::HostFacts;
use leveret_server::program::Program;

use crate::logging::Logging;

/// The file in the data directory that says which process this is.
const PID_FILE: &str = "leveret.pid";

/// What the program can do for those who manage the broker.
#[derive(Debug)]
pub(super) struct LeveretProgram {
    pub(super) logging: Logging,
    pub(super) settings: Vec<(String, String, String)>,
}

impl Program for LeveretProgram {
    fn set_log_level(&self, level: &str) -> Result<(), String> {
        self.logging.set_level(level)
    }

    fn reopen_logs(&self) {
        self.logging.reopen();
    }

    fn settings(&self) -> Vec<(String, String, String)> {
        self.settings.clone()
    }
}

/// What is to be shown of it.
pub(super) fn facts(loaded: &Loaded, logging: &Logging) -> HostFacts {
    let settings = &loaded.settings;
    let is_kept = !settings.store.ephemeral;
    HostFacts {
        data_dir: if is_kept { settings.node.data_dir.display().to_string() } else { String::new() },
        config_files: loaded.files.iter().map(|path| path.display().to_string()).collect(),
        log_files: logging.targets.clone(),
        enabled_plugins_file: loaded.plugins_file.display().to_string(),
        plugins: plugins(settings),
        settings: text(&loaded.origins),
    }
}

/// The configuration, a line a key.
fn text(origins: &[Explained]) -> String {
    let lines = origins.iter().map(|row| format!("{} = {} # {}\n", row.key, row.value, row.origin));
    lines.collect()
}

/// The plugins that tools shall see: those that somebody enabled, or the ones that we stand in for.
pub(super) fn plugins(settings: &Settings) -> Vec<String> {
    if !settings.plugins.is_empty() {
        return settings.plugins.clone();
    }
    let (management, prometheus) = (&settings.management.http, &settings.prometheus.http);
    let is_on = |http: &leveret_config::settings::Http| http.port.is_some() || http.tls_port.is_some();
    let names = [("rabbitmq_management", is_on(management)), ("rabbitmq_prometheus", is_on(prometheus))];
    names.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name.to_owned()).collect()
}

/// Where the process id is written.
pub(super) fn pid_paths(settings: &Settings, has_data_dir: bool) -> Vec<PathBuf> {
    let own = has_data_dir.then(|| settings.node.data_dir.join(PID_FILE));
    own.into_iter().chain(settings.node.pid_file.clone()).collect()
}

/// The keys whose values are others now, but for those that are taken up while the broker runs.
pub(super) fn changed(before: &[Explained], after: &[Explained]) -> Vec<String> {
    let values = |rows: &[Explained]| -> BTreeMap<String, String> {
        let lasting = rows.iter().filter(|row| !is_taken_up(&row.key));
        lasting.map(|row| (row.key.clone(), row.value.clone())).collect()
    };
    let (before, after) = (values(before), values(after));
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// Whether a key takes effect while the broker runs.
fn is_taken_up(key: &str) -> bool {
    key == "leveret.log" || key.starts_with("log.") && (key.ends_with(".level") || key.contains(".rotation."))
}

#[cfg(test)]
mod tests {
    use leveret_config::Origin;

    use super::*;

    fn row(key: &str, value: &str) -> Explained {
        Explained { key: key.into(), value: value.into(), origin: Origin::Default, status: "honoured" }
    }

    #[test]
    fn what_needs_a_restart_is_known() {
        let before = [row("heartbeat", "60"), row("log.console.level", "info"), row("frame_max", "1")];
        let after = [
            row("heartbeat", "5"),
            row("log.console.level", "debug"),
            row("channel_max", "1"),
            row("log.file.rotation.count", "5"),
            row("log.exchange", "true"),
        ];
        assert_eq!(changed(&before, &after), ["channel_max", "frame_max", "heartbeat", "log.exchange"]);
        assert_eq!(changed(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn plugins_are_those_that_somebody_enabled() {
        let mut settings = Settings::default();
        assert_eq!(plugins(&settings), Vec::<String>::new());
        settings.management.http.port = Some(15672);
        assert_eq!(plugins(&settings), ["rabbitmq_management"]);
        settings.plugins = vec!["rabbitmq_shovel".to_owned()];
        assert_eq!(plugins(&settings), ["rabbitmq_shovel"]);
    }
}
