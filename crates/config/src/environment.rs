//! The variables of the environment: those that RabbitMQ reads, those of its container image, those that Bitnami's image has,
//! and our own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::advanced;
use crate::guess;
use crate::origin::{Assignment, Layer, Origin};
use crate::value;

mod image;

const PREFIX: &str = "RABBITMQ_";

/// The environment, completed by `rabbitmq-env.conf`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, (String, Origin)>,
}

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) warnings: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// Variables that stand for one key, RabbitMQ's without their prefix. Where two stand for the same, the later one wins.
const PLAIN: &[(&str, &str)] = &[
    ("NODE_NAME", "leveret.node_name"),
    ("NODENAME", "leveret.node_name"),
    ("USERNAME", "default_user"),
    ("DEFAULT_USER", "default_user"),
    ("PASSWORD", "default_pass"),
    ("DEFAULT_PASS", "default_pass"),
    ("VHOST", "default_vhost"),
    ("DEFAULT_VHOST", "default_vhost"),
    ("PID_FILE", "leveret.pid_file"),
    ("KEEP_PID_FILE_ON_EXIT", "leveret.keep_pid_file"),
    ("LOG_BASE", "log.dir"),
    ("MOTD_FILE", "motd_file"),
    ("PRODUCT_NAME", "product.name"),
    ("PRODUCT_VERSION", "product.version"),
    ("SSL_CACERTFILE", "ssl_options.cacertfile"),
    ("SSL_CERTFILE", "ssl_options.certfile"),
    ("SSL_KEYFILE", "ssl_options.keyfile"),
    ("SSL_DEPTH", "ssl_options.depth"),
    ("SSL_FAIL_IF_NO_PEER_CERT", "ssl_options.fail_if_no_peer_cert"),
    ("SSL_VERIFY", "ssl_options.verify"),
    ("MANAGEMENT_SSL_CACERTFILE", "management.ssl.cacertfile"),
    ("MANAGEMENT_SSL_CERTFILE", "management.ssl.certfile"),
    ("MANAGEMENT_SSL_KEYFILE", "management.ssl.keyfile"),
    ("MANAGEMENT_SSL_DEPTH", "management.ssl.depth"),
    ("MANAGEMENT_SSL_FAIL_IF_NO_PEER_CERT", "management.ssl.fail_if_no_peer_cert"),
    ("MANAGEMENT_SSL_VERIFY", "management.ssl.verify"),
    ("MANAGEMENT_PORT_NUMBER", "management.tcp.port"),
    ("MANAGEMENT_BIND_IP", "management.tcp.ip"),
    ("DISK_FREE_RELATIVE_LIMIT", "disk_free_limit.relative"),
    ("DISK_FREE_ABSOLUTE_LIMIT", "disk_free_limit.absolute"),
    ("DEFINITIONS_FILE", "load_definitions"),
    ("CLUSTER_NAME", "cluster_name"),
];

/// Our own, whole.
const OWN: &[(&str, &str)] = &[
    ("LEVERET_NODE_NAME", "leveret.node_name"),
    ("LEVERET_EPHEMERAL", "leveret.ephemeral"),
    ("LEVERET_DURABILITY", "leveret.durability"),
    ("LEVERET_MEMORY_BUDGET", "leveret.memory_budget"),
    ("LEVERET_DISK_FREE_LIMIT", "disk_free_limit.absolute"),
    ("LEVERET_MAX_MESSAGE_SIZE", "max_message_size"),
    ("LEVERET_MANAGEMENT_PORT", "management.tcp.port"),
    ("LEVERET_PROMETHEUS_PORT", "prometheus.tcp.port"),
    ("LEVERET_LOG", "leveret.log"),
];

/// Variables that may name a file with the value in it, by this ending.
const SECRETS: &[&str] = &["USERNAME", "DEFAULT_USER", "PASSWORD", "DEFAULT_PASS", "VHOST", "DEFAULT_VHOST"];

/// Variables that are read elsewhere here, or mean nothing to us.
const OTHERS: &[&str] = &[
    "ADVANCED_CONFIG_FILE",
    "ALLOW_INPUT",
    "BASE",
    "BOOT_MODULE",
    "CONFIG_FILE",
    "CONFIG_FILES",
    "CONF_ENV_FILE",
    "CTL_ERL_ARGS",
    "DATA_DIR",
    "DBG",
    "DIST_PORT",
    "ENABLED_PLUGINS",
    "ENABLED_PLUGINS_FILE",
    "ERLANG_COOKIE",
    "FEATURE_FLAGS",
    "FEATURE_FLAGS_FILE",
    "HOME",
    "LOG",
    "LOGS",
    "MNESIA_BASE",
    "MNESIA_DIR",
    "NODE_IP_ADDRESS",
    "NODE_PORT",
    "PLUGINS",
    "PLUGINS_DIR",
    "PLUGINS_EXPAND_DIR",
    "QUORUM_DIR",
    "SERVER_ADDITIONAL_ERL_ARGS",
    "SERVER_ERL_ARGS",
    "SERVER_START_ARGS",
    "STREAM_DIR",
    "USE_LONGNAME",
    "VERSION",
    "VHOSTS",
    "VM_MEMORY_HIGH_WATERMARK",
];

/// Wrong names that many have, and the right ones.
const MISTAKES: &[(&str, &str)] = &[
    ("DEFAULT_PASSWORD", "DEFAULT_PASS"),
    ("DEFAULT_USERNAME", "DEFAULT_USER"),
    ("DEFAULT_VIRTUAL_HOST", "DEFAULT_VHOST"),
    ("USER", "DEFAULT_USER"),
    ("PASS", "DEFAULT_PASS"),
];

/// Names up to this length are too near to one another to guess.
const SHORT: usize = 5;

impl Environment {
    /// Of these variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter();
        let told = |(name, value): (String, String)| (name.clone(), (value, Origin::Environment(name)));
        Self { variables: variables.map(told).collect() }
    }

    /// Of this process. Variables that are no text are left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Adds what a file such as `rabbitmq-env.conf` says: `NODENAME=rabbit@host`, with or without the prefix. The environment
    /// comes first.
    pub(crate) fn complete(&mut self, path: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let name = name.trim();
            let name = if name.starts_with(PREFIX) { name.to_owned() } else { format!("{PREFIX}{name}") };
            let value = unquoted(value.trim());
            if self.get(&name).is_none() {
                self.variables.insert(name, (value, Origin::File(path.to_owned(), Some(index + 1))));
            }
        }
    }

    /// One variable; an empty one counts as none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether RabbitMQ's variables are in use.
    pub(crate) fn is_rabbit(&self) -> bool {
        let known = |name: &str| PLAIN.iter().any(|(known, _)| *known == name) || OTHERS.contains(&name);
        self.variables.keys().filter_map(|name| name.strip_prefix(PREFIX)).any(known)
    }

    fn origin(&self, name: &str) -> Origin {
        self.variables.get(name).map_or_else(|| Origin::Environment(name.to_owned()), |(_, origin)| origin.clone())
    }

    /// Where the data is: what `LEVERET_DATA_DIR` or `RABBITMQ_MNESIA_DIR` say, or a folder below `RABBITMQ_MNESIA_BASE` or the
    /// image's `RABBITMQ_DATA_DIR`. Never anything with the host's name in it.
    #[must_use]
    pub fn data_dir(&self) -> Option<(PathBuf, Origin)> {
        let found = |name: &str, below: &str| {
            self.get(name).map(|path| {
                (if below.is_empty() { path.into() } else { Path::new(path).join(below) }, self.origin(name))
            })
        };
        found("LEVERET_DATA_DIR", "")
            .or_else(|| found("RABBITMQ_MNESIA_DIR", ""))
            .or_else(|| found("RABBITMQ_MNESIA_BASE", "leveret"))
            .or_else(|| found("RABBITMQ_DATA_DIR", "mnesia/leveret"))
    }

    /// What the variables come to. `read` gives a file's text.
    pub(crate) fn said(&self, read: &dyn Fn(&Path) -> Result<String, String>) -> Said {
        let mut said = Said::default();
        self.plain(&mut said);
        self.secrets(read, &mut said);
        self.own(&mut said);
        self.listeners(&mut said);
        self.image(&mut said);
        self.logs(&mut said);
        self.arguments(&mut said);
        self.strange(&mut said);
        said
    }

    fn plain(&self, said: &mut Said) {
        for (name, key) in PLAIN {
            self.tell(said, name, key, str::to_owned);
        }
    }

    fn tell(&self, said: &mut Said, name: &str, key: &str, value: impl Fn(&str) -> String) {
        let name = format!("{PREFIX}{name}");
        if let Some(text) = self.get(&name) {
            said.assign(key, value(text), self.origin(&name));
        }
    }

    fn secrets(&self, read: &dyn Fn(&Path) -> Result<String, String>, said: &mut Said) {
        for name in SECRETS {
            let variable = format!("{PREFIX}{name}_FILE");
            let Some(path) = self.get(&variable) else { continue };
            let Some((_, key)) = PLAIN.iter().find(|(plain, _)| plain == name) else { continue };
            match read(Path::new(path)) {
                Ok(text) => said.assign(key, text.trim_end_matches(['\n', '\r']).to_owned(), self.origin(&variable)),
                Err(error) => said.problems.push(format!("{}: {error}", self.origin(&variable))),
            }
        }
    }

    fn own(&self, said: &mut Said) {
        for (name, key) in OWN {
            let Some(text) = self.get(name) else { continue };
            let is_flag = *key == "leveret.ephemeral";
            let text = if is_flag { switch(text) } else { text };
            said.assign(key, text.to_owned(), self.origin(name));
        }
        if let Some((path, origin)) = self.data_dir() {
            said.assign("leveret.data_dir", path.display().to_string(), origin);
        }
        if self.get("LEVERET_REMOTE_GUEST").is_some_and(|text| switch(text) == "true") {
            said.assign("loopback_users", "none".to_owned(), self.origin("LEVERET_REMOTE_GUEST"));
        }
    }

    /// Address and port are two variables and one listener.
    fn listeners(&self, said: &mut Said) {
        for (address, port) in [("RABBITMQ_NODE_IP_ADDRESS", "RABBITMQ_NODE_PORT"), ("LEVERET_BIND", "LEVERET_PORT")] {
            let ip = self.get(address).filter(|ip| *ip != "auto");
            if let Some(number) = self.get(port) {
                said.assign("listeners.tcp.default", number.to_owned(), self.origin(port));
            }
            if let Some(ip) = ip {
                said.assign("leveret.bind", ip.to_owned(), self.origin(address));
            }
        }
    }

    fn arguments(&self, said: &mut Said) {
        for name in ["SERVER_ERL_ARGS", "SERVER_START_ARGS", "SERVER_ADDITIONAL_ERL_ARGS"] {
            let variable = format!("{PREFIX}{name}");
            let Some(text) = self.get(&variable) else { continue };
            let told = advanced::arguments(text);
            let origin = self.origin(&variable);
            for (key, value) in told.settings {
                said.assignments.push(Assignment { key, value, origin: origin.clone(), layer: Layer::Arguments });
            }
            said.warnings.extend(told.warnings.into_iter().map(|warning| format!("{origin}: {warning}")));
        }
    }

    /// Names that look like RabbitMQ's and are not. Others are not our business: applications have their own.
    fn strange(&self, said: &mut Said) {
        let known = || PLAIN.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied());
        for name in self.variables.keys().filter_map(|name| name.strip_prefix(PREFIX)) {
            let is_secret = name.strip_suffix("_FILE").is_some_and(|name| SECRETS.contains(&name));
            if is_secret || known().any(|known| known == name) {
                continue;
            }
            let mistake = MISTAKES.iter().find(|(wrong, _)| *wrong == name).map(|(_, right)| *right);
            if let Some(meant) =
                mistake.or_else(|| (name.len() > SHORT).then(|| guess::nearest(name, known())).flatten())
            {
                let warning = format!("{PREFIX}{name} has no effect: did you mean {PREFIX}{meant}?");
                said.warnings.push(warning);
            }
        }
    }
}

impl Said {
    fn assign(&mut self, key: &str, value: String, origin: Origin) {
        self.assignments.push(Assignment { key: key.to_owned(), value, origin, layer: Layer::Environment });
    }

    /// Something that holds unless somebody says otherwise.
    fn suggest(&mut self, key: &str, value: &str, origin: Origin) {
        self.assignments.push(Assignment {
            key: key.to_owned(),
            value: value.to_owned(),
            origin,
            layer: Layer::Default,
        });
    }
}

/// A switch as programs take it.
fn switch(text: &str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "0" | "false" | "f" | "no" | "n" | "off" => "false",
        _ => "true",
    }
}

fn unquoted(text: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = text.strip_prefix(quote).and_then(|text| text.split_once(quote)) {
            return inner.to_owned();
        }
    }
    text.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

/// Names in a list with commas, blanks or semicolons between them.
fn list(text: &str) -> Vec<String> {
    value::words(text)
}

#[cfg(test)]
mod tests;
