//! What is left when everybody has said something.

use std::collections::BTreeMap;

use super::Gathered;
use crate::conf::words;
use crate::keys::{self, FAMILY_DEFAULTS, Key, Rule};
use crate::limits::SUBSTITUTED_BYTES_MAX;
use crate::origin::{Assignment, Layer, Origin};
use crate::settings::{PasswordRule, Settings, SyslogTransport, Watermark};

/// A key, what it is, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The key.
    pub key: String,
    /// Its value; secrets are not shown.
    pub value: String,
    /// Who said it.
    pub origin: Origin,
    /// What comes of it: `honoured`, `meaningless`, `deprecated`, `absent`.
    pub status: &'static str,
}

/// The address of RabbitMQ's AMQP listeners.
const NODE_ADDRESS: &str = "RABBITMQ_NODE_IP_ADDRESS";

/// What stands for a secret.
const HIDDEN: &str = "********";

/// A key that is known, with what won.
struct Effective {
    key: &'static Key,
    names: Vec<String>,
    said: Assignment,
}

/// Keys in the order in which they are put: by authority, then by their words, numbers among them by their size.
type Place = (Layer, Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Number(u64),
    Text(String),
}

/// Decides among the assignments, and puts those that win.
pub(super) fn resolve(gathered: &mut Gathered) -> (Settings, Vec<Explained>) {
    let mut assignments = defaults();
    assignments.append(&mut gathered.assignments);
    substitute(&mut assignments, gathered);
    // Stable: what comes later among equals is said later.
    assignments.sort_by_key(|said| said.layer);
    let winners = winners(assignments);
    let mut effective: BTreeMap<Place, Effective> = BTreeMap::new();
    for said in winners.into_values() {
        let written = words(&said.key);
        match keys::find(&written) {
            Some((key, names)) => {
                let place = (said.layer, written.into_iter().map(word).collect());
                effective.insert(place, Effective { key, names, said });
            }
            None => gathered.ineffective.push(unknown(&said, &written)),
        }
    }
    drop_doubles(&mut effective, gathered);
    let settings = put(&effective, gathered);
    tell_ports(&settings, &mut effective);
    let mut origins: Vec<Explained> = effective.into_values().map(Effective::explain).collect();
    origins.sort_by(|left, right| left.key.cmp(&right.key));
    (settings, origins)
}

fn word(word: String) -> Word {
    word.parse().map_or(Word::Text(word), Word::Number)
}

fn unknown(said: &Assignment, written: &[String]) -> String {
    let hint = keys::guess(written).map(|key| format!(": did you mean {key}?")).unwrap_or_default();
    format!("{}: the key {} is not known and has no effect{hint}", said.origin, said.key)
}

/// What holds while nobody says otherwise.
fn defaults() -> Vec<Assignment> {
    let keys = keys::all().iter().filter_map(|key| Some((key.pattern, key.default?)));
    let all = keys.chain(FAMILY_DEFAULTS.iter().copied());
    let said = |(key, value): (&str, &str)| Assignment {
        key: key.to_owned(),
        value: value.to_owned(),
        origin: Origin::Default,
        layer: Layer::Default,
    };
    all.map(said).collect()
}

/// The last one said of each key; of keys that are said as a whole, those of the highest authority.
fn winners(assignments: Vec<Assignment>) -> BTreeMap<String, Assignment> {
    let mut highest: BTreeMap<&'static str, Layer> = BTreeMap::new();
    for said in &assignments {
        if let Some(group) = keys::group(&said.key) {
            let layer = highest.entry(group).or_insert(said.layer);
            *layer = said.layer.max(*layer);
        }
    }
    let counts = |said: &Assignment| keys::group(&said.key).is_none_or(|group| highest.get(group) == Some(&said.layer));
    let mut winners = BTreeMap::new();
    for said in assignments.into_iter().filter(counts) {
        winners.insert(said.key.clone(), said);
    }
    winners
}

/// Puts the environment, or other keys, in place of `$(NAME)`, in what files say.
fn substitute(assignments: &mut [Assignment], gathered: &mut Gathered) {
    let others: BTreeMap<String, String> =
        assignments.iter().map(|said| (said.key.clone(), said.value.clone())).collect();
    for said in assignments.iter_mut().filter(|said| matches!(said.layer, Layer::Conf | Layer::Own)) {
        match substituted(&said.value, |name| {
            gathered.variables.get(name).or_else(|| others.get(name).map(String::as_str)).map(str::to_owned)
        }) {
            Ok(Some(value)) => said.value = value,
            Ok(None) => (),
            Err(problem) => gathered.problems.push(format!("{}: {}: {problem}", said.origin, said.key)),
        }
    }
}

fn substituted(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, tail)) = after.split_once(')') else { break };
        let value = lookup(name.trim())
            .ok_or_else(|| format!("$({name}) stands for nothing: there is no variable {name} in the environment"))?;
        done.push_str(before);
        done.push_str(&value);
        if done.len() > SUBSTITUTED_BYTES_MAX {
            return Err(format!("longer than {SUBSTITUTED_BYTES_MAX} bytes with what stands for $(...)"));
        }
        rest = tail;
    }
    Ok((!done.is_empty() || rest.len() != text.len()).then(|| done + rest))
}

/// An amount that is said in two ways: bytes win over a share, as in RabbitMQ. `none` wins over names.
fn drop_doubles(effective: &mut BTreeMap<Place, Effective>, gathered: &mut Gathered) {
    let is_said =
        |effective: &BTreeMap<Place, Effective>, key: &str| effective.values().any(|entry| entry.said.key == key);
    for family in ["vm_memory_high_watermark", "disk_free_limit"] {
        let (absolute, relative) = (format!("{family}.absolute"), format!("{family}.relative"));
        if is_said(effective, &absolute) && is_said(effective, &relative) {
            gathered.warnings.push(format!("{absolute} and {relative} are both given: the first one counts"));
            effective.retain(|_, entry| entry.said.key != relative);
        }
    }
    for family in ["listeners.tcp", "listeners.ssl", "loopback_users", "management.cors.allow_origins"] {
        if is_said(effective, family) {
            let prefix = format!("{family}.");
            effective.retain(|_, entry| !entry.said.key.starts_with(&prefix));
        }
    }
}

fn put(effective: &BTreeMap<Place, Effective>, gathered: &mut Gathered) -> Settings {
    let mut settings = Settings::default();
    let mut absent: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for entry in effective.values() {
        let Assignment { key, value, origin, .. } = &entry.said;
        if value.starts_with("encrypted:") {
            gathered.problems.push(format!(
                "{origin}: {key}: encrypted values are not supported: write the value itself, or $(NAME) to take it from the environment"
            ));
            continue;
        }
        let expected = || format!("{origin}: {key} = {}: expected {}", shown(key, value), entry.key.kind());
        match entry.key.rule {
            Rule::Honoured(take) => {
                if take.put(&mut settings, &entry.names, value).is_none() {
                    gathered.problems.push(expected());
                }
            }
            Rule::Meaningless(kind) if !kind.accepts(value) => gathered.warnings.push(expected()),
            Rule::Meaningless(_) => (),
            Rule::Deprecated(_, instead) => {
                gathered.warnings.push(format!("{origin}: {key} is deprecated; in its place there is {instead}"));
            }
            Rule::Absent(..) if is_off(value) => (),
            Rule::Absent(_, reason) => absent.entry(reason).or_default().push(format!("{key} ({origin})")),
        }
    }
    for (reason, keys) in absent {
        gathered.ineffective.push(format!("{} no effect: {reason}", listed(&keys)));
    }
    finish(&mut settings, effective, gathered);
    settings
}

/// The ports of HTTP that nobody gave depend on other keys.
fn tell_ports(settings: &Settings, effective: &mut BTreeMap<Place, Effective>) {
    for (http, key) in
        [(&settings.management.http, "management.tcp.port"), (&settings.prometheus.http, "prometheus.tcp.port")]
    {
        let untold = |entry: &&mut Effective| entry.said.key == key && entry.said.layer == Layer::Default;
        if let Some(entry) = effective.values_mut().find(untold) {
            entry.said.value = http.port.unwrap_or_default().to_string();
        }
    }
}

/// Whoever turns off what is not there gets what they want.
fn is_off(value: &str) -> bool {
    matches!(value, "false" | "none" | "off")
}

fn listed(keys: &[String]) -> String {
    match keys {
        [one] => format!("{one} has"),
        [first, rest @ ..] => format!("{first} and {} more of its kind have", rest.len()),
        [] => String::new(),
    }
}

fn origin_of<'a>(effective: &'a BTreeMap<Place, Effective>, key: &str) -> Option<&'a Origin> {
    effective.values().find(|entry| entry.said.key == key).map(|entry| &entry.said.origin)
}

/// What depends on more than one key.
fn finish(settings: &mut Settings, effective: &BTreeMap<Place, Effective>, gathered: &mut Gathered) {
    let layer = |key: &str| effective.values().find(|entry| entry.said.key == key).map(|entry| entry.said.layer);
    let is_given = |key: &str| layer(key).is_some_and(|layer| layer > Layer::Default);
    let oauth2 = &mut settings.auth.oauth2;
    oauth2.scope_aliases.extend(std::mem::take(&mut oauth2.scope_alias_pairs).into_values());
    settings.seed.is_user_explicit = layer("default_user").is_some_and(|layer| layer >= Layer::Environment);
    if let Some(ip) = settings.listeners.bind {
        // RabbitMQ's own variable is about AMQP alone.
        let is_for_all = origin_of(effective, "leveret.bind") != Some(&Origin::Environment(NODE_ADDRESS.to_owned()));
        for http in [&mut settings.management.http, &mut settings.prometheus.http].into_iter().filter(|_| is_for_all) {
            http.ip.get_or_insert(ip);
            http.tls_ip.get_or_insert(ip);
        }
        settings
            .listeners
            .tcp
            .iter_mut()
            .chain(&mut settings.listeners.tls)
            .for_each(|listener| listener.ip = Some(ip));
    }
    // Tests start many brokers: whoever takes a free port for AMQP has no fixed ones beside it.
    let is_free_port = settings.listeners.tcp.first().is_some_and(|listener| listener.port == 0);
    for (http, name) in [(&mut settings.management.http, "management"), (&mut settings.prometheus.http, "prometheus")] {
        let is_port_given = is_given(&format!("{name}.tcp.port")) || is_given(&format!("{name}.listener.port"));
        let is_left_out = gathered.plugins_are_told && !settings.plugins.iter().any(|plugin| brings(plugin, name));
        // As in RabbitMQ: with TLS, HTTP without it is there when somebody asks for it.
        if !is_port_given && (is_free_port || is_left_out || http.tls_port.is_some()) {
            http.port = None;
        }
        if http.tls_port.is_some() && (http.tls.cert_file.is_none() || http.tls.key_file.is_none()) {
            gathered.problems.push(format!("{name}.ssl.port needs {name}.ssl.certfile and {name}.ssl.keyfile"));
        }
    }
    let tls = &settings.tls;
    if !settings.listeners.tls.is_empty() && (tls.cert_file.is_none() || tls.key_file.is_none()) {
        gathered.problems.push("listeners.ssl needs ssl_options.certfile and ssl_options.keyfile".to_owned());
    }
    let passwords = &settings.auth.passwords;
    if passwords.rule == PasswordRule::Pattern && passwords.pattern.is_none() {
        gathered.problems.push("credential_validator.validation_backend needs credential_validator.regexp".to_owned());
    }
    let syslog = &mut settings.log.syslog;
    if syslog.transport == SyslogTransport::Tls && syslog.is_on() {
        gathered.warnings.push("nothing is sent to a syslog by TLS: the log does not go there".to_owned());
        syslog.enabled = Some(false);
    }
    if settings.resources.memory_watermark == Watermark::Absolute(0) {
        gathered.warnings.push("a memory watermark of 0 blocks all publishers".to_owned());
    }
    if !settings.node.name.contains('@') {
        settings.node.name.push_str("@localhost");
    }
}

/// Whether a plugin is the one of HTTP of that name, or needs it.
fn brings(plugin: &str, name: &str) -> bool {
    plugin.strip_suffix(name).is_some_and(|before| before.ends_with('_'))
        || (name == "management" && matches!(plugin, "rabbitmq_top" | "rabbitmq_tracing"))
}

impl Effective {
    fn explain(self) -> Explained {
        let value = shown(&self.said.key, &self.said.value);
        Explained { key: self.said.key, value, origin: self.said.origin, status: self.key.rule.word() }
    }
}

/// A value as it may be seen: without secrets, those in addresses included.
fn shown(key: &str, value: &str) -> String {
    if keys::is_secret(&words(key)) {
        return HIDDEN.to_owned();
    }
    let authority = value.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (login, host) = rest.get(..end)?.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}@{host}{}", rest.get(end..)?))
    });
    authority.unwrap_or_else(|| value.to_owned())
}
