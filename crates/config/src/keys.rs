//! The table of keys: those of `rabbitmq.conf`, of RabbitMQ's core and of the plugins that come with it, and a few of our own.
//!
//! Whoever says something, a file, the environment, a flag or Erlang terms, says it by one of these keys.

mod auth;
mod http;
mod ignored;
mod listeners;
mod log;
mod node;
mod seed;
mod tls;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use crate::query;
use crate::settings::{LdapQuery, Listener, LogLevel, Schedule, Settings};
use crate::value::{self, Kilo, Kind};

/// A key, or a family of keys.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Words with dots between them; `$name` stands for any word.
    pub pattern: &'static str,
    /// What comes of it.
    pub rule: Rule,
    /// The value where nobody gives one.
    pub default: Option<&'static str>,
}

/// What comes of a key.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// It does what it says.
    Honoured(Take),
    /// It is about something that we do otherwise, or have no need of: accepted in silence.
    Meaningless(Kind),
    /// RabbitMQ has given it up, too: accepted with a word about what is in its place.
    Deprecated(Kind, &'static str),
    /// It is about something that we do not do: accepted with a warning.
    Absent(Kind, &'static str),
}

/// Where a value goes; the words are those that stood for `$name`.
pub(crate) type Put<T> = fn(&mut Settings, &[String], T);

/// Where a text goes.
pub(crate) type PutText = fn(&mut Settings, &[String], &str);

/// A value's kind, and where it goes.
#[derive(Clone, Copy, Debug)]
pub enum Take {
    /// [`Kind::Bool`]
    Bool(Put<bool>),
    /// [`Kind::Number`]
    Number(u64, u64, Put<u64>),
    /// [`Kind::NumberOrInfinity`]
    NumberOrInfinity(Put<Option<u64>>),
    /// [`Kind::Ratio`]
    Ratio(Put<f64>),
    /// [`Kind::Bytes`]
    Bytes(Put<u64>),
    /// [`Kind::BinaryBytes`]
    BinaryBytes(Put<u64>),
    /// [`Kind::Duration`]
    Duration(Put<u64>),
    /// [`Kind::Text`]
    Text(PutText),
    /// [`Kind::Choice`]
    Choice(&'static [&'static str], PutText),
    /// [`Kind::Path`]
    Path(PutText),
    /// [`Kind::Level`]
    Level(Put<LogLevel>),
    /// [`Kind::Listener`]
    Listener(Put<Listener>),
    /// [`Kind::Address`]
    Address(Put<IpAddr>),
    /// [`Kind::Port`]
    Port(Put<Option<u16>>),
    /// [`Kind::None`]
    None(Put<()>),
    /// [`Kind::Words`]
    Words(Put<Vec<String>>),
    /// [`Kind::Query`]
    Query(Put<LdapQuery>),
    /// [`Kind::Schedule`]
    Schedule(Put<Option<Schedule>>),
}

/// Keys whose family is said as a whole: who says one of them says them all, and those said with less authority are gone.
pub(crate) const GROUPS: &[&str] = &[
    "listeners.tcp",
    "listeners.ssl",
    "default_user_tags",
    "loopback_users",
    "auth_mechanisms",
    "auth_backends",
    "vm_memory_high_watermark",
    "disk_free_limit",
    "management.cors.allow_origins",
    "leveret.vhosts",
    "leveret.plugins",
];

/// What holds while nobody says otherwise, for families of keys.
pub(crate) const FAMILY_DEFAULTS: &[(&str, &str)] = &[
    ("listeners.tcp.default", "5672"),
    ("default_user_tags.administrator", "true"),
    ("loopback_users.guest", "true"),
    ("auth_mechanisms.1", "PLAIN"),
    ("auth_mechanisms.2", "AMQPLAIN"),
    ("auth_mechanisms.3", "ANONYMOUS"),
    ("auth_backends.1", "internal"),
];

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own = [node::KEYS, listeners::KEYS, auth::KEYS, http::KEYS, log::KEYS, seed::KEYS];
    let honoured = own.iter().chain(tls::KEYS).flat_map(|keys| keys.iter().copied());
    honoured.chain(ignored::keys()).collect()
});

/// All keys.
#[must_use]
pub fn all() -> &'static [Key] {
    &KEYS
}

/// Keys by their first word, which is never a name.
static BY_FIRST_WORD: LazyLock<HashMap<&'static str, Vec<&'static Key>>> = LazyLock::new(|| {
    let mut index: HashMap<&'static str, Vec<&'static Key>> = HashMap::new();
    for key in all() {
        let word = key.pattern.split_once('.').map_or(key.pattern, |(word, _)| word);
        index.entry(word).or_default().push(key);
    }
    index
});

/// The key of these words, and what stands for its `$name`s. One that is written out comes before one with names.
pub(crate) fn find(words: &[String]) -> Option<(&'static Key, Vec<String>)> {
    let candidates = BY_FIRST_WORD.get(words.first()?.as_str())?;
    let found = candidates.iter().filter_map(|key| key.captures(words).map(|names| (*key, names)));
    found.min_by_key(|(_, names)| names.len())
}

/// The key that may have been meant, with the words of the mistyped one in place of its `$name`s.
pub(crate) fn guess(words: &[String]) -> Option<String> {
    let written = words.join(".");
    let candidates: Vec<String> = all().iter().map(|key| key.filled(words)).collect();
    crate::guess::nearest(&written, candidates.iter().map(String::as_str)).map(str::to_owned)
}

/// The family that a key belongs to, if it is said as a whole.
pub(crate) fn group(key: &str) -> Option<&'static str> {
    let is_in = |group: &&&str| key.strip_prefix(**group).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    GROUPS.iter().find(is_in).copied()
}

impl Key {
    const fn honoured(pattern: &'static str, take: Take) -> Self {
        Self { pattern, rule: Rule::Honoured(take), default: None }
    }

    const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    fn captures(&self, words: &[String]) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut words = words.iter();
        for part in self.pattern.split('.') {
            let word = words.next()?;
            if part.starts_with('$') {
                names.push(word.clone());
            } else if part != word {
                return None;
            }
        }
        words.next().is_none().then_some(names)
    }

    fn filled(&self, words: &[String]) -> String {
        let mut parts = Vec::new();
        for (index, part) in self.pattern.split('.').enumerate() {
            let word = words.get(index).filter(|_| part.starts_with('$'));
            parts.push(word.map_or(part, String::as_str));
        }
        parts.join(".")
    }

    /// What its value must be.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.rule {
            Rule::Honoured(take) => take.kind(),
            Rule::Meaningless(kind) | Rule::Deprecated(kind, _) | Rule::Absent(kind, _) => kind,
        }
    }
}

/// Last words of keys whose values are better not shown.
const SECRETS: &[&str] = &[
    "password",
    "default_pass",
    "anonymous_login_pass",
    "secret_key",
    "access_key_id",
    "acl_token",
    "client_secret",
    "oauth_client_secret",
    "erlang_cookie",
];

/// Whether the value of the key of these words is better not shown. It goes by what is written: many a pattern ends in a name.
pub(crate) fn is_secret(words: &[String]) -> bool {
    match words {
        [.., last] if SECRETS.contains(&last.as_str()) => true,
        // A private key within the file.
        [.., place, _] => place == "key",
        _ => false,
    }
}

impl Rule {
    /// In one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Honoured(_) => "honoured",
            Self::Meaningless(_) => "meaningless",
            Self::Deprecated(..) => "deprecated",
            Self::Absent(..) => "absent",
        }
    }
}

impl Take {
    fn kind(self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::Number(min, max, _) => Kind::Number { min, max },
            Self::NumberOrInfinity(_) => Kind::NumberOrInfinity,
            Self::Ratio(_) => Kind::Ratio,
            Self::Bytes(_) => Kind::Bytes,
            Self::BinaryBytes(_) => Kind::BinaryBytes,
            Self::Duration(_) => Kind::Duration,
            Self::Text(_) => Kind::Text,
            Self::Choice(choices, _) => Kind::Choice(choices),
            Self::Path(_) => Kind::Path,
            Self::Level(_) => Kind::Level,
            Self::Listener(_) => Kind::Listener,
            Self::Address(_) => Kind::Address,
            Self::Port(_) => Kind::Port,
            Self::None(_) => Kind::None,
            Self::Words(_) => Kind::Words,
            Self::Query(_) => Kind::Query,
            Self::Schedule(_) => Kind::Schedule,
        }
    }

    /// Puts a value where it belongs; none when it is no such value.
    pub(crate) fn put(self, settings: &mut Settings, names: &[String], text: &str) -> Option<()> {
        match self {
            Self::Bool(put) => put(settings, names, value::boolean(text)?),
            Self::Number(min, max, put) => put(settings, names, value::number(text, min, max)?),
            Self::NumberOrInfinity(put) => put(settings, names, value::number_or_infinity(text)?),
            Self::Ratio(put) => put(settings, names, value::ratio(text)?),
            Self::Bytes(put) => put(settings, names, value::bytes(text, Kilo::Thousand)?),
            Self::BinaryBytes(put) => put(settings, names, value::bytes(text, Kilo::Binary)?),
            Self::Duration(put) => put(settings, names, value::duration_ms(text)?),
            Self::Text(put) | Self::Path(put) => put(settings, names, text),
            Self::Choice(choices, put) => {
                put(settings, names, choices.iter().find(|choice| **choice == text)?);
            }
            Self::Level(put) => put(settings, names, LogLevel::by_name(text)?),
            Self::Listener(put) => put(settings, names, value::listener(text)?),
            Self::Address(put) => put(settings, names, value::address(text)?),
            Self::Port(put) => put(settings, names, value::port(text)?),
            Self::None(put) => put(settings, names, (text == "none").then_some(())?),
            Self::Words(put) => put(settings, names, value::words(text)),
            Self::Query(put) => put(settings, names, query::parse(text)?),
            Self::Schedule(put) => put(settings, names, value::schedule(text)?),
        }
        Some(())
    }
}

/// The first of the words that stood for `$name`.
pub(crate) fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::words;

    #[test]
    fn patterns_are_unique() {
        let mut patterns: Vec<&str> = all().iter().map(|key| key.pattern).collect();
        patterns.sort_unstable();
        for pair in patterns.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn first_words_are_no_names() {
        assert_eq!(all().iter().find(|key| key.pattern.starts_with('$')).map(|key| key.pattern), None);
    }

    #[test]
    fn defaults_are_values() {
        let mut settings = Settings::default();
        for key in all() {
            let (Rule::Honoured(take), Some(default)) = (key.rule, key.default) else { continue };
            assert!(take.put(&mut settings, &[], default).is_some(), "{}", key.pattern);
        }
        for (key, value) in FAMILY_DEFAULTS {
            let (key, _) = find(&words(key)).unwrap();
            assert!(key.kind().accepts(value), "{}", key.pattern);
        }
    }

    #[test]
    fn a_key_that_is_written_out_comes_first() {
        let (key, names) = find(&words("log.file.level")).unwrap();
        assert_eq!((key.pattern, names.len()), ("log.file.level", 0));
        let (key, names) = find(&words("log.queue.level")).unwrap();
        assert_eq!((key.pattern, names), ("log.$category.level", vec!["queue".to_owned()]));
        assert!(find(&words("log.queue.level.more")).is_none());
        assert!(find(&words("log")).is_none());
    }

    /// From the core and from each plugin that comes with RabbitMQ, of 3.x and of 4.x.
    const NAMES: &str = "listeners.tcp.default listeners.ssl.local ssl_options.versions.1 num_acceptors.tcp handshake_timeout \
        tcp_listen_options.linger.timeout vm_memory_calculation_strategy vm_memory_high_watermark_paging_ratio \
        cluster_formation.peer_discovery_backend cluster_formation.k8s.host cluster_formation.consul.svc_tags.a \
        cluster_formation.etcd.ssl_options.versions.1 cluster_formation.classic_config.nodes.1 cluster_partition_handling \
        cluster_partition_handling.pause_if_all_down.nodes.1 mirroring_sync_batch_size queue_master_locator \
        queue_leader_locator raft.wal_max_size_bytes raft.data_dir quorum_queue.initial_cluster_size net_ticktime \
        quorum_queue.continuous_membership_reconciliation.interval classic_queue.default_version log.file.rotation.size \
        log.queue.rotation.date log.connection.file log.syslog.ssl_options.versions.1 log.exchange log.console.formatter.time_format \
        deprecated_features.permit.transient_nonexcl_queues metadata_store.khepri.default_timeout runtime_parameters.limits.shovel \
        message_interceptors.incoming.set_header_timestamp.overwrite management.listener.server.idle_timeout \
        management.sample_retention_policies.global.minute management.oauth_client_id management.cors.allow_origins.1 \
        management_agent.disable_metrics_collector prometheus.tcp.idle_timeout mqtt.listeners.tcp.default mqtt.allow_anonymous \
        mqtt.tcp_listen_options.linger.on web_mqtt.cowboy_opts.max_headers stomp.default_user web_stomp.ssl.versions.1 \
        stream.advertised_host stream.tcp_listen_options.backlog auth_http.user_path auth_ldap.dn_lookup_bind.user_dn \
        auth_oauth2.oauth_providers.a.https.cacertfile auth_cache.cache_ttl trust_store.ssl_options.verify amqp1_0.default_user \
        amqp_client.ssl_options.versions.1 sysmon_handler.triggers.process.heap_size distribution.listener.port_range.min \
        erlang.K hipe_compile event_exchange.vhost aws.prefer_imdsv2 definitions.tls.versions.1 definitions.https.url";

    #[test]
    fn keys_of_rabbitmq_are_known() {
        let unknown = NAMES.split_whitespace().filter(|name| find(&words(name)).is_none());
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn mistyped_keys_are_guessed() {
        for (typed, meant) in [
            ("hartbeat", "heartbeat"),
            ("listener.tcp.default", "listeners.tcp.default"),
            ("default_users.ann.pasword", "default_users.ann.password"),
            ("mangement.tcp.port", "management.tcp.port"),
            ("loopback_user.guest", "loopback_users.guest"),
            ("vm_memory_high_watermark.relativ", "vm_memory_high_watermark.relative"),
        ] {
            assert_eq!(guess(&words(typed)).as_deref(), Some(meant));
        }
        assert_eq!(guess(&words("something.else.entirely")), None);
    }

    #[test]
    fn groups_end_at_a_dot() {
        assert_eq!(group("listeners.tcp"), Some("listeners.tcp"));
        assert_eq!(group("listeners.tcp.1"), Some("listeners.tcp"));
        assert_eq!(group("loopback_users_x"), None);
        assert_eq!(group("vm_memory_high_watermark_paging_ratio"), None);
    }

    /// The table at the end of `docs/configuration.md`.
    fn documented() -> String {
        let mut rows: Vec<String> = Vec::new();
        for key in all().iter().filter(|key| matches!(key.rule, Rule::Honoured(_))) {
            let family = FAMILY_DEFAULTS.iter().filter(|(name, _)| key.captures(&words(name)).is_some());
            let values: Vec<&str> =
                key.default
                    .into_iter()
                    .chain(family.map(|(name, value)| {
                        if *value == "true" { name.rsplit('.').next().unwrap_or_default() } else { value }
                    }))
                    .collect();
            rows.push(format!("| `{}` | {} | {} |", key.pattern, key.kind(), values.join(", ")));
        }
        rows.sort_unstable();
        format!("| key | value | default |\n| --- | --- | --- |\n{}\n", rows.join("\n"))
    }

    #[test]
    fn keys_that_are_honoured_are_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, table) = text.split_once("<!-- keys: kept by a test of crates/config -->\n").unwrap();
        let expected = documented();
        if std::env::var_os("LEVERET_WRITE_DOCS").is_some() {
            std::fs::write(path, format!("{before}<!-- keys: kept by a test of crates/config -->\n{expected}"))
                .unwrap();
            return;
        }
        assert_eq!(table, expected, "run this test with LEVERET_WRITE_DOCS=1");
    }

    #[test]
    fn secrets_are_known() {
        for (key, is_secret) in [
            ("default_pass", true),
            ("default_users.ann.password", true),
            ("management.ssl.password", true),
            ("auth_ldap.other_bind.password", true),
            ("ssl_options.key.RSAPrivateKey", true),
            ("stomp.default_pass", true),
            ("cluster_formation.consul.acl_token", true),
            ("cluster_formation.aws.secret_key", true),
            ("management.oauth_resource_servers.a.oauth_client_secret", true),
            ("amqp_client.ssl_options.password", true),
            ("definitions.tls.password", true),
            ("default_user", false),
            ("ssl_options.keyfile", false),
        ] {
            assert!(find(&words(key)).is_some(), "{key}");
            assert_eq!(super::is_secret(&words(key)), is_secret, "{key}");
        }
    }
}
