//! Our own file, `leveret.toml`: a few sections with short names for the same keys, and `[rabbitmq]` for all others.

use toml::de::{DeTable, DeValue};

use crate::conf::word;
use crate::guess;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Line, key, value.
    pub(crate) settings: Vec<(usize, String, String)>,
    /// Line, text.
    pub(crate) unknown: Vec<(usize, String)>,
    pub(crate) problems: Vec<(usize, String)>,
}

/// Names here, and the keys that they stand for. A key that ends in a dot takes a list.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("node.name", "leveret.node_name"),
    ("node.data_dir", "leveret.data_dir"),
    ("node.pid_file", "leveret.pid_file"),
    ("node.cluster_name", "cluster_name"),
    ("listeners.tcp", "listeners.tcp."),
    ("listeners.tls", "listeners.ssl."),
    ("listeners.proxy_protocol", "proxy_protocol"),
    ("tls.cert_file", "ssl_options.certfile"),
    ("tls.key_file", "ssl_options.keyfile"),
    ("tls.ca_file", "ssl_options.cacertfile"),
    ("tls.verify", "ssl_options.verify"),
    ("tls.fail_if_no_peer_cert", "ssl_options.fail_if_no_peer_cert"),
    ("limits.heartbeat", "heartbeat"),
    ("limits.frame_max", "frame_max"),
    ("limits.channel_max", "channel_max"),
    ("limits.max_message_size", "max_message_size"),
    ("limits.consumer_timeout", "consumer_timeout"),
    ("limits.default_queue_type", "default_queue_type"),
    ("store.ephemeral", "leveret.ephemeral"),
    ("store.durability", "leveret.durability"),
    ("store.recover", "leveret.recover"),
    ("store.memory_budget", "leveret.memory_budget"),
    ("store.memory_watermark", "vm_memory_high_watermark.relative"),
    ("store.disk_free_limit", "disk_free_limit.absolute"),
    ("defaults.user", "default_user"),
    ("defaults.password", "default_pass"),
    ("defaults.vhost", "default_vhost"),
    ("defaults.loopback_users", "loopback_users."),
    ("definitions.path", "load_definitions"),
    ("definitions.skip_if_unchanged", "definitions.skip_if_unchanged"),
    ("management.port", "management.tcp.port"),
    ("management.ip", "management.tcp.ip"),
    ("management.path_prefix", "management.path_prefix"),
    ("prometheus.port", "prometheus.tcp.port"),
    ("prometheus.ip", "prometheus.tcp.ip"),
    ("log.level", "log.default.level"),
    ("log.directives", "leveret.log"),
    ("log.style", "leveret.log_style"),
    ("log.format", "log.console.formatter"),
    ("log.file", "log.file"),
];

/// Reads a file's text.
pub(crate) fn parse(text: &str) -> Read {
    let mut read = Read::default();
    match DeTable::parse(text) {
        Ok(table) => read.table(text, "", table.get_ref()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            read.problems.push((line(text, at), error.message().to_owned()));
        }
    }
    read
}

impl Read {
    fn table(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let number = line(text, name.span().start);
            let path =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            match value.get_ref() {
                DeValue::Table(inner) => self.table(text, &path, inner),
                other => self.value(number, &path, other),
            }
        }
    }

    fn value(&mut self, number: usize, path: &str, value: &DeValue<'_>) {
        let key = match path.strip_prefix("rabbitmq.") {
            Some(key) => key,
            None => match NAMES.iter().find(|(name, _)| *name == path) {
                Some((_, key)) => key,
                None => {
                    let near = guess::nearest(path, NAMES.iter().map(|(name, _)| *name));
                    let hint = near.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
                    self.unknown.push((number, format!("`{path}` is not known{hint}")));
                    return;
                }
            },
        };
        match (key.strip_suffix('.'), value) {
            (Some(prefix), DeValue::Array(items)) => self.list(number, prefix, items.iter().map(|item| item.get_ref())),
            (Some(prefix), one) => self.list(number, prefix, std::iter::once(one)),
            (None, one) => match plain(one) {
                Some(text) => self.settings.push((number, key.to_owned(), text)),
                None => self.problems.push((number, format!("`{path}`: expected a text, a number, true or false"))),
            },
        }
    }

    fn list<'a>(&mut self, number: usize, prefix: &str, items: impl Iterator<Item = &'a DeValue<'a>>) {
        let texts: Vec<String> = items.filter_map(plain).collect();
        if texts.is_empty() || texts.as_slice() == ["none"] {
            self.settings.push((number, prefix.to_owned(), "none".to_owned()));
            return;
        }
        for (index, text) in texts.into_iter().enumerate() {
            let (name, value) = if prefix == "loopback_users" {
                (word(&text), "true".to_owned())
            } else {
                ((index + 1).to_string(), text)
            };
            self.settings.push((number, format!("{prefix}.{name}"), value));
        }
    }
}

fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(is) => Some(is.to_string()),
        DeValue::Array(_) | DeValue::Table(_) | DeValue::Datetime(_) => None,
    }
}

fn line(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_stand_for_keys() {
        let read = parse(
            "[node]\nname = \"rabbit@test\"\n[listeners]\ntcp = [5673, \"127.0.0.1:5674\"]\ntls = []\n[limits]\nheartbeat = 0x1e\n\
             [defaults]\nloopback_users = [\"ann.b\"]\n[rabbitmq]\nlog.console = true\n\"default_users.x.tags\" = \"monitoring\"\n",
        );
        assert!(read.unknown.is_empty() && read.problems.is_empty(), "{read:?}");
        let mut settings: Vec<(&str, &str)> =
            read.settings.iter().map(|(_, key, value)| (key.as_str(), value.as_str())).collect();
        settings.sort_unstable();
        assert_eq!(
            settings,
            [
                ("default_users.x.tags", "monitoring"),
                ("heartbeat", "30"),
                ("leveret.node_name", "rabbit@test"),
                ("listeners.ssl", "none"),
                ("listeners.tcp.1", "5673"),
                ("listeners.tcp.2", "127.0.0.1:5674"),
                ("log.console", "true"),
                ("loopback_users.ann\\.b", "true"),
            ]
        );
        assert!(read.settings.contains(&(2, "leveret.node_name".into(), "rabbit@test".into())));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let read = parse("[node]\nnmae = \"x\"\n\n[store]\ndurability = 1979-05-27\n");
        assert_eq!(read.unknown, [(2, "`node.nmae` is not known: did you mean `node.name`?".to_owned())]);
        assert_eq!(read.problems.len(), 1);
        assert_eq!(parse("[node\n").problems[0].0, 1);
    }

    #[test]
    fn the_example_of_the_documentation_is_understood() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap();
        let example = text.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
        let read = parse(example);
        assert!(read.unknown.is_empty() && read.problems.is_empty(), "{read:?}");
        for (_, key, value) in read.settings {
            let (key, _) = crate::keys::find(&crate::conf::words(&key)).unwrap();
            assert!(key.kind().accepts(&value), "{} = {value}", key.pattern);
        }
    }

    #[test]
    fn names_stand_for_keys_that_are_known() {
        for (name, key) in NAMES {
            let key = if key.ends_with('.') { format!("{key}1") } else { (*key).to_owned() };
            assert!(crate::keys::find(&crate::conf::words(&key)).is_some(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,60}") {
            parse(&text);
            parse(&format!("[node]\nname = {text}"));
        }
    }
}
