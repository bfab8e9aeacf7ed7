//! Variables that stand for more than one key.

use super::{Environment, PREFIX, Said, list};
use crate::origin::Origin;
use crate::settings::LogLevel;
use crate::value;

/// Where `RABBITMQ_LOGS` can send the log beside the console and files.
const TARGETS: &[(&str, &str)] =
    &[("exchange:", "log.exchange"), ("syslog:", "log.syslog"), ("journald:", "log.journald")];

impl Environment {
    /// TLS ports, the memory watermark, lists.
    pub(super) fn image(&self, said: &mut Said) {
        for (certificate, key, port) in [
            ("RABBITMQ_SSL_CERTFILE", "listeners.ssl.default", "5671"),
            ("RABBITMQ_MANAGEMENT_SSL_CERTFILE", "management.ssl.port", "15671"),
        ] {
            if self.get(certificate).is_some() {
                said.suggest(key, port, self.origin(certificate));
            }
        }
        let name = "RABBITMQ_VM_MEMORY_HIGH_WATERMARK";
        if let Some(text) = self.get(name) {
            let is_share = text.contains(['.', '%']) || value::ratio(text).is_some_and(|share| share <= 1.0);
            let side = if is_share { "relative" } else { "absolute" };
            said.assign(&format!("vm_memory_high_watermark.{side}"), text.to_owned(), self.origin(name));
        }
        for (name, prefix) in
            [("VHOSTS", "leveret.vhosts"), ("PLUGINS", "leveret.plugins"), ("ENABLED_PLUGINS", "leveret.plugins")]
        {
            let name = format!("{PREFIX}{name}");
            for (index, item) in list(self.get(&name).unwrap_or_default()).into_iter().enumerate() {
                said.assign(&format!("{prefix}.{}", index + 1), item, self.origin(&name));
            }
        }
        let name = "RABBITMQ_MANAGEMENT_ALLOW_WEB_ACCESS";
        if self.get(name).is_some_and(|text| value::boolean(text) == Some(true)) {
            said.assign("loopback_users", "none".to_owned(), self.origin(name));
        }
    }

    /// `RABBITMQ_LOGS`: where to. `RABBITMQ_LOG`: how much.
    pub(super) fn logs(&self, said: &mut Said) {
        let name = "RABBITMQ_LOGS";
        if let Some(target) = self.get(name) {
            let origin = self.origin(name);
            match target {
                "-" | "-stdout" => console(said, "stdout", &origin),
                "-stderr" => console(said, "stderr", &origin),
                other => match TARGETS.iter().find(|(prefix, _)| other.starts_with(prefix)) {
                    Some((_, key)) => {
                        said.assign(key, "true".to_owned(), origin.clone());
                        said.assign("log.file", "false".to_owned(), origin);
                    }
                    None => {
                        said.assign("log.console", "false".to_owned(), origin.clone());
                        said.assign("log.file", other.to_owned(), origin);
                    }
                },
            }
        }
        let name = "RABBITMQ_LOG";
        for word in list(self.get(name).unwrap_or_default()) {
            self.log_word(&word, said, name);
        }
    }

    fn log_word(&self, word: &str, said: &mut Said, name: &str) {
        let origin = self.origin(name);
        match word.split_once('=') {
            Some((category, level)) => said.assign(&format!("log.{category}.level"), level.to_owned(), origin),
            None if LogLevel::by_name(word).is_some() => said.assign("log.default.level", word.to_owned(), origin),
            None if word == "+json" => {
                for target in ["console", "file"] {
                    said.assign(&format!("log.{target}.formatter"), "json".to_owned(), origin.clone());
                }
            }
            None if word.starts_with(['+', '-']) => (),
            None => said.warnings.push(format!("{origin}: `{word}` is no level and not of the form category=level")),
        }
    }
}

fn console(said: &mut Said, stream: &str, origin: &Origin) {
    said.assign("log.console", "true".to_owned(), origin.clone());
    said.assign("log.console.stdio", stream.to_owned(), origin.clone());
    said.assign("log.file", "false".to_owned(), origin.clone());
}
