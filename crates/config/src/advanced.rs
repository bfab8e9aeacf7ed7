//! Applications' settings as Erlang terms, said by the keys of `rabbitmq.conf`.

use crate::conf::word;
use crate::erlang::Term;
use crate::keys;

/// What terms come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// Keys and values as in rabbitmq.conf.
    pub(crate) settings: Vec<(String, String)>,
    /// What was not understood.
    pub(crate) warnings: Vec<String>,
}

/// Applications of Erlang and of libraries, whose settings mean nothing here.
const FOREIGN: &[&str] = &[
    "kernel",
    "stdlib",
    "sasl",
    "ssl",
    "mnesia",
    "os_mon",
    "inets",
    "crypto",
    "ra",
    "aten",
    "osiris",
    "khepri",
    "lager",
    "syslog",
    "sysmon_handler",
    "amqp_client",
    "cowboy",
    "ranch",
    "prometheus",
    "oauth2_client",
];

/// Settings of the application `rabbit` that have another name in rabbitmq.conf.
const RENAMED: &[(&str, &str)] = &[
    ("num_tcp_acceptors", "num_acceptors.tcp"),
    ("num_ssl_acceptors", "num_acceptors.ssl"),
    ("writer_gc_threshold", "socket_writer.gc_threshold"),
    ("product_name", "product.name"),
    ("product_version", "product.version"),
    ("msg_store_shutdown_timeout", "message_store_shutdown_timeout"),
    ("log_root", "log.dir"),
    ("classic_queue_default_version", "classic_queue.default_version"),
    ("quorum_relaxed_checks_on_redeclaration", "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration"),
];

/// Prefixes of the keys of other applications.
const APPLICATIONS: &[(&str, &str)] = &[
    ("rabbitmq_management", "management"),
    ("rabbitmq_management_agent", "management_agent"),
    ("rabbitmq_prometheus", "prometheus"),
    ("rabbitmq_auth_backend_http", "auth_http"),
    ("rabbitmq_auth_backend_ldap", "auth_ldap"),
    ("rabbitmq_auth_backend_cache", "auth_cache"),
    ("rabbitmq_auth_backend_oauth2", "auth_oauth2"),
    ("rabbitmq_mqtt", "mqtt"),
    ("rabbitmq_web_mqtt", "web_mqtt"),
    ("rabbitmq_stomp", "stomp"),
    ("rabbitmq_web_stomp", "web_stomp"),
    ("rabbitmq_stream", "stream"),
    ("rabbitmq_trust_store", "trust_store"),
];

/// Reads the list of a whole file: `[{rabbit, [{tcp_listeners, [5672]}]}].`
pub(crate) fn applications(term: &Term) -> Translated {
    let mut told = Translated::default();
    for application in term.items() {
        let Some((name, settings)) = application.pair() else {
            told.warnings.push("an item of the list is not of the form {application, [{key, value}, ...]}".to_owned());
            continue;
        };
        for setting in settings.items() {
            match (setting.pair(), setting) {
                (Some((key, value)), _) => told.setting(name, key, value),
                // An atom alone is true.
                (None, Term::Atom(key)) => told.setting(name, key, &Term::Atom("true".to_owned())),
                _ => told.warnings.push(format!("a setting of {name} is not of the form {{key, value}}")),
            }
        }
    }
    told
}

impl Translated {
    /// One setting of an application.
    pub(crate) fn setting(&mut self, application: &str, key: &str, value: &Term) {
        let is_done = match application {
            "rabbit" => self.rabbit(key, value),
            foreign if FOREIGN.contains(&foreign) => true,
            plugin => match APPLICATIONS.iter().find(|(name, _)| *name == plugin) {
                Some((_, prefix)) => self.plugin(prefix, key, value),
                None => false,
            },
        };
        if !is_done {
            self.warnings.push(format!("{{{application}, [{{{key}, ...}}]}} is not known and has no effect"));
        }
    }

    fn rabbit(&mut self, key: &str, value: &Term) -> bool {
        match key {
            "tcp_listeners" => self.listeners("listeners.tcp", value),
            "ssl_listeners" => self.listeners("listeners.ssl", value),
            "ssl_options" => self.options("ssl_options", value),
            "tcp_listen_options" => self.options("tcp_listen_options", value),
            "loopback_users" => self.each("loopback_users", value, |name| (word(&name), "true".to_owned())),
            "default_user_tags" => self.each("default_user_tags", value, |name| (word(&name), "true".to_owned())),
            "auth_mechanisms" => self.numbered("auth_mechanisms", value),
            "auth_backends" => self.backends(value),
            "default_permissions" => self.permissions(value),
            "vm_memory_high_watermark" | "disk_free_limit" => self.amount(key, value),
            "log" => self.log(value),
            "log_levels" => self.log_levels(value),
            "default_consumer_prefetch" => self.prefetch(value),
            "credential_validator" => self.options(key, value),
            // The name of the setting is also a place of others.
            "cluster_nodes" | "cluster_partition_handling" | "hipe_compile" | "permit_deprecated_features" => true,
            _ => {
                let renamed = RENAMED.iter().find(|(name, _)| *name == key).map_or(key, |(_, renamed)| renamed);
                self.known(renamed, value)
            }
        }
    }

    fn plugin(&mut self, prefix: &str, key: &str, value: &Term) -> bool {
        match (prefix, key) {
            ("management", "listener" | "tcp_config") | ("prometheus", "tcp_config") => {
                let place = if key == "listener" { "listener" } else { "tcp" };
                self.options(&format!("{prefix}.{place}"), value)
            }
            ("management" | "prometheus", "ssl_config") => self.options(&format!("{prefix}.ssl"), value),
            ("management", "cors_allow_origins") => self.numbered("management.cors.allow_origins", value),
            ("management", "cors_max_age") => self.known("management.cors.max_age", value),
            ("management", "disable_management_stats") => self.known("management.disable_stats", value),
            ("management", "sample_retention_policies") => true,
            ("auth_ldap", "servers") => self.numbered("auth_ldap.servers", value),
            ("auth_ldap", "vhost_access_query" | "resource_access_query" | "topic_access_query") => {
                self.settings.push((format!("{prefix}.{key}"), value.to_string()));
                true
            }
            ("auth_ldap", "tag_queries") => {
                let queries = value.items().iter().filter_map(Term::pair);
                self.settings.extend(
                    queries.map(|(tag, query)| (format!("auth_ldap.tag_queries.{}", word(tag)), query.to_string())),
                );
                matches!(value, Term::List(_))
            }
            ("auth_ldap", "dn_lookup_bind" | "other_bind") => self.bind(&format!("{prefix}.{key}"), value),
            ("auth_oauth2", "key_config") => self.options("auth_oauth2", value),
            (_, "ssl_options") => self.options(&format!("{prefix}.ssl_options"), value),
            _ => {
                let known = self.known(&format!("{prefix}.{key}"), value);
                // What a plugin that is not there is told is told to nobody.
                known || matches!(prefix, "mqtt" | "web_mqtt" | "stomp" | "web_stomp" | "stream" | "trust_store")
            }
        }
    }

    /// A setting whose name is a key of rabbitmq.conf.
    fn known(&mut self, key: &str, value: &Term) -> bool {
        let Some(text) = value.plain() else { return false };
        let is_known = keys::find(&crate::conf::words(key)).is_some();
        if is_known {
            self.settings.push((key.to_owned(), text));
        }
        is_known
    }

    /// A list of pairs below a prefix; lists within are numbered.
    fn options(&mut self, prefix: &str, value: &Term) -> bool {
        for option in value.items() {
            let Some((name, value)) = option.pair() else { continue };
            let key = format!("{prefix}.{name}");
            match (name, value) {
                ("ssl_opts" | "cowboy_opts" | "ssl_options", list @ Term::List(_)) => drop(self.options(&key, list)),
                ("versions" | "ciphers" | "algorithms", list) => drop(self.numbered(&key, list)),
                // `{linger, {true, 0}}`
                ("linger", Term::Tuple(parts)) => {
                    for (side, part) in ["on", "timeout"].into_iter().zip(parts) {
                        self.known(&format!("{key}.{side}"), part);
                    }
                }
                (_, value) if self.known(&key, value) => (),
                _ => self.warnings.push(format!("{key} is not known and has no effect")),
            }
        }
        matches!(value, Term::List(_))
    }

    /// `[]`, `[5672]`, `[{"127.0.0.1", 5672}]`.
    fn listeners(&mut self, prefix: &str, value: &Term) -> bool {
        let Term::List(items) = value else { return false };
        if items.is_empty() {
            self.settings.push((prefix.to_owned(), "none".to_owned()));
        }
        for (index, item) in items.iter().enumerate() {
            let text = match item {
                Term::Tuple(parts) => {
                    let parts: Vec<String> = parts.iter().filter_map(Term::plain).collect();
                    parts.join(":")
                }
                plain => plain.plain().unwrap_or_default(),
            };
            self.settings.push((format!("{prefix}.{}", index + 1), text));
        }
        true
    }

    /// `[internal, {ldap, internal}]`, by short names or by those of modules.
    fn backends(&mut self, value: &Term) -> bool {
        let Term::List(items) = value else { return false };
        for (index, item) in items.iter().enumerate() {
            let place = format!("auth_backends.{}", index + 1);
            match item {
                Term::Tuple(parts) => {
                    for (part, side) in parts.iter().zip(["authn", "authz"]) {
                        let name = part.items().first().unwrap_or(part).plain().unwrap_or_default();
                        self.settings.push((format!("{place}.{side}"), name));
                    }
                }
                plain => self.settings.push((place, plain.plain().unwrap_or_default())),
            }
        }
        true
    }

    /// `as_user`, `anon`, `{"cn=admin", "password"}`.
    fn bind(&mut self, key: &str, value: &Term) -> bool {
        match value {
            Term::Tuple(parts) => {
                let parts = parts.iter().filter_map(Term::plain);
                let keys = ["user_dn", "password"].map(|part| format!("{key}.{part}"));
                self.settings.extend(keys.into_iter().zip(parts));
                true
            }
            plain => self.known(key, plain),
        }
    }

    /// `[<<".*">>, <<".*">>, <<".*">>]`: configure, write, read.
    fn permissions(&mut self, value: &Term) -> bool {
        let patterns = value.items().iter().filter_map(Term::plain);
        let keys = ["configure", "write", "read"].map(|side| format!("default_permissions.{side}"));
        self.settings.extend(keys.into_iter().zip(patterns));
        matches!(value, Term::List(_))
    }

    /// `0.4`, `{absolute, "1GB"}`, `{relative, 0.4}`, `{mem_relative, 1.0}`, `"50MB"`.
    fn amount(&mut self, key: &str, value: &Term) -> bool {
        let (side, value) = match (value.pair(), value) {
            (Some(("relative" | "mem_relative", value)), _) => ("relative", value),
            (Some(("absolute", value)), _) => ("absolute", value),
            (_, Term::Float(_)) => ("relative", value),
            (_, Term::Integer(_)) if key == "vm_memory_high_watermark" => ("relative", value),
            _ => ("absolute", value),
        };
        self.known(&format!("{key}.{side}"), value)
    }

    /// `[{console, [{enabled, true}, {level, debug}]}, {file, [{file, "x"}, {level, info}]}, {categories, [...]}]`.
    fn log(&mut self, value: &Term) -> bool {
        for target in value.items() {
            let Some((name, options)) = target.pair() else { continue };
            for option in options.items() {
                let Some((key, value)) = option.pair() else { continue };
                let known = match (name, key) {
                    (_, "enabled") | ("file", "file") => self.known(&format!("log.{name}"), value),
                    ("file", "date" | "size" | "count" | "compress") => {
                        self.known(&format!("log.file.rotation.{key}"), value)
                    }
                    ("categories", category) => value
                        .items()
                        .iter()
                        .filter_map(Term::pair)
                        .all(|(key, value)| self.known(&format!("log.{category}.{key}"), value)),
                    _ => self.known(&format!("log.{name}.{key}"), value),
                };
                if !known {
                    self.warnings.push(format!("the log option {name} {key} is not known and has no effect"));
                }
            }
        }
        matches!(value, Term::List(_))
    }

    /// `{false, 250}`: whether all consumers of a channel share it, and how much it is.
    fn prefetch(&mut self, value: &Term) -> bool {
        let Term::Tuple(parts) = value else { return false };
        let parts = parts.iter().filter_map(Term::plain);
        let keys = ["global", "count"].map(|part| format!("default_consumer_prefetch.{part}"));
        self.settings.extend(keys.into_iter().zip(parts));
        true
    }

    /// `[{connection, info}]`, of old versions.
    fn log_levels(&mut self, value: &Term) -> bool {
        value
            .items()
            .iter()
            .filter_map(Term::pair)
            .all(|(category, level)| self.known(&format!("log.{category}.level"), level))
    }

    fn numbered(&mut self, prefix: &str, value: &Term) -> bool {
        for (index, item) in value.items().iter().enumerate() {
            self.settings.extend(item.plain().map(|text| (format!("{prefix}.{}", index + 1), text)));
        }
        matches!(value, Term::List(_))
    }

    /// A list of names, `none` if it is empty.
    fn each(&mut self, prefix: &str, value: &Term, pair: impl Fn(String) -> (String, String)) -> bool {
        let Term::List(items) = value else { return false };
        if items.is_empty() && prefix == "loopback_users" {
            self.settings.push((prefix.to_owned(), "none".to_owned()));
        }
        for name in items.iter().filter_map(Term::plain) {
            let (name, value) = pair(name);
            self.settings.push((format!("{prefix}.{name}"), value));
        }
        true
    }
}

/// Arguments of the Erlang machine: `-rabbit consumer_timeout 5000 +S 1:1`. Only triples of an application count.
pub(crate) fn arguments(text: &str) -> Translated {
    let mut told = Translated::default();
    let words = split(text);
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(application) = word.strip_prefix('-') else { continue };
        let is_known = application == "rabbit" || APPLICATIONS.iter().any(|(name, _)| *name == application);
        let mut values = Vec::new();
        // A negative number is a value, too.
        while let Some(value) = words.next_if(|next| !next.starts_with('+') && !is_option(next)) {
            values.push(value);
        }
        if !is_known {
            continue;
        }
        for pair in values.chunks(2) {
            match pair {
                [key, value] => match crate::erlang::parse_term(value) {
                    Ok(value) => told.setting(application, key, &value),
                    // The shell may have taken the quotes away.
                    Err(_) => told.setting(application, key, &Term::Text((*value).clone())),
                },
                _ => told.warnings.push(format!(
                    "-{application} {} has no value",
                    pair.iter().map(|word| word.as_str()).collect::<String>()
                )),
            }
        }
    }
    told
}

fn is_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|letter: char| letter.is_alphabetic()))
}

/// Words as a shell divides them, but the quotes of Erlang's strings stay.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut is_single, mut is_double, mut depth) = (false, false, 0_usize);
    for letter in text.chars() {
        match letter {
            '\'' if !is_double => is_single = !is_single,
            '"' if !is_single => {
                is_double = !is_double;
                word.push('"');
            }
            blank if blank.is_whitespace() && !is_single && !is_double && depth == 0 => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            }
            other => {
                match other {
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth = depth.saturating_sub(1),
                    _ => (),
                }
                word.push(other);
            }
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erlang::parse_file;

    fn pairs(told: &Translated) -> Vec<(&str, &str)> {
        told.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    #[test]
    fn a_file_of_the_old_kind_is_understood() {
        let text = r#"
            %% the classic
            [
              {rabbit, [
                {tcp_listeners, [{"127.0.0.1", 5672}, 5673]},
                {ssl_listeners, [5671]},
                {ssl_options, [{cacertfile, "/ca.pem"}, {verify, verify_peer}, {fail_if_no_peer_cert, false},
                               {versions, ['tlsv1.2', 'tlsv1.3']}]},
                {default_user, <<"ann">>}, {default_pass, <<"secret">>},
                {default_permissions, [<<"c">>, <<"w">>, <<"r">>]},
                {loopback_users, []},
                {default_user_tags, [administrator, monitoring]},
                {vm_memory_high_watermark, 0.5},
                {disk_free_limit, "1GB"},
                {heartbeat, 30},
                {consumer_timeout, undefined},
                {tcp_listen_options, [{backlog, 128}, {nodelay, true}, {linger, {true, 0}}]},
                {auth_backends, [rabbit_auth_backend_internal, {rabbit_auth_backend_ldap, rabbit_auth_backend_internal}]},
                {default_consumer_prefetch, {false, 250}},
                {credential_validator, [{validation_backend, rabbit_credential_validator_min_password_length},
                                        {min_length, 8}]},
                {log, [{console, [{enabled, true}, {level, debug}]},
                       {file, [{file, false}, {date, "$D0"}, {size, 0}, {count, 5}]}]}
              ]},
              {kernel, [{inet_dist_listen_min, 1}]},
              {rabbitmq_management, [{load_definitions, "/d.json"}, {listener, [{port, 15673}, {ssl, false}]}]},
              {rabbitmq_prometheus, [{tcp_config, [{port, 15693}]}]}
            ]."#;
        let told = applications(&parse_file(text).unwrap().unwrap());
        assert_eq!(told.warnings, Vec::<String>::new());
        assert_eq!(
            pairs(&told),
            [
                ("listeners.tcp.1", "127.0.0.1:5672"),
                ("listeners.tcp.2", "5673"),
                ("listeners.ssl.1", "5671"),
                ("ssl_options.cacertfile", "/ca.pem"),
                ("ssl_options.verify", "verify_peer"),
                ("ssl_options.fail_if_no_peer_cert", "false"),
                ("ssl_options.versions.1", "tlsv1.2"),
                ("ssl_options.versions.2", "tlsv1.3"),
                ("default_user", "ann"),
                ("default_pass", "secret"),
                ("default_permissions.configure", "c"),
                ("default_permissions.write", "w"),
                ("default_permissions.read", "r"),
                ("loopback_users", "none"),
                ("default_user_tags.administrator", "true"),
                ("default_user_tags.monitoring", "true"),
                ("vm_memory_high_watermark.relative", "0.5"),
                ("disk_free_limit.absolute", "1GB"),
                ("heartbeat", "30"),
                ("consumer_timeout", "undefined"),
                ("tcp_listen_options.backlog", "128"),
                ("tcp_listen_options.nodelay", "true"),
                ("tcp_listen_options.linger.on", "true"),
                ("tcp_listen_options.linger.timeout", "0"),
                ("auth_backends.1", "rabbit_auth_backend_internal"),
                ("auth_backends.2.authn", "rabbit_auth_backend_ldap"),
                ("auth_backends.2.authz", "rabbit_auth_backend_internal"),
                ("default_consumer_prefetch.global", "false"),
                ("default_consumer_prefetch.count", "250"),
                ("credential_validator.validation_backend", "rabbit_credential_validator_min_password_length"),
                ("credential_validator.min_length", "8"),
                ("log.console", "true"),
                ("log.console.level", "debug"),
                ("log.file", "false"),
                ("log.file.rotation.date", "$D0"),
                ("log.file.rotation.size", "0"),
                ("log.file.rotation.count", "5"),
                ("management.load_definitions", "/d.json"),
                ("management.listener.port", "15673"),
                ("management.listener.ssl", "false"),
                ("prometheus.tcp.port", "15693"),
            ]
        );
    }

    #[test]
    fn questions_to_a_directory_are_kept() {
        let text = r#"[{rabbitmq_auth_backend_ldap, [
            {servers, ["a", "b"]}, {user_dn_pattern, "cn=${username}"}, {other_bind, {"cn=admin", "p"}},
            {vhost_access_query, {in_group, "ou=${vhost}"}},
            {tag_queries, [{administrator, {constant, false}}]}]}]."#;
        let told = applications(&parse_file(text).unwrap().unwrap());
        assert_eq!(told.warnings, Vec::<String>::new());
        assert_eq!(
            pairs(&told),
            [
                ("auth_ldap.servers.1", "a"),
                ("auth_ldap.servers.2", "b"),
                ("auth_ldap.user_dn_pattern", "cn=${username}"),
                ("auth_ldap.other_bind.user_dn", "cn=admin"),
                ("auth_ldap.other_bind.password", "p"),
                ("auth_ldap.vhost_access_query", "{'in_group',\"ou=${vhost}\"}"),
                ("auth_ldap.tag_queries.administrator", "{'constant','false'}"),
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_told() {
        let told = applications(&parse_file("[{rabbit, [{hartbeat, 1}]}, {strange, [{a, 1}]}, x].").unwrap().unwrap());
        assert_eq!(told.settings, []);
        assert_eq!(told.warnings.len(), 3, "{:?}", told.warnings);
    }

    #[test]
    fn triples_are_found_among_the_arguments() {
        for (text, expected) in [
            ("-rabbit consumer_timeout false", vec![("consumer_timeout", "false")]),
            ("-rabbit consumer_timeout 3600000", vec![("consumer_timeout", "3600000")]),
            (
                "-rabbitmq_management load_definitions \"/etc/rabbitmq/definitions.json\"",
                vec![("management.load_definitions", "/etc/rabbitmq/definitions.json")],
            ),
            (
                "-rabbitmq_management load_definitions /etc/rabbitmq/definitions.json",
                vec![("management.load_definitions", "/etc/rabbitmq/definitions.json")],
            ),
            ("+S 1:1 -rabbit channel_max 4007 +MBas aobf", vec![("channel_max", "4007")]),
            ("-rabbit log '[{console,[{level,debug}]}]'", vec![("log.console.level", "debug")]),
            (
                "-rabbit log [{console,[{level, error}]}] -rabbit heartbeat 5",
                vec![("log.console.level", "error"), ("heartbeat", "5")],
            ),
            ("-kernel inet_dist_listen_min 1 -setcookie x", vec![]),
            ("-rabbitmq_stream advertised_host localhost", vec![("stream.advertised_host", "localhost")]),
            ("", vec![]),
        ] {
            assert_eq!(pairs(&arguments(text)), expected, "{text}");
        }
        assert_eq!(arguments("-rabbit consumer_timeout").warnings, ["-rabbit consumer_timeout has no value"]);
    }

    proptest::proptest! {
        #[test]
        fn no_arguments_are_too_strange(text in ".{0,60}", likely in "[-+a-z \"'\\[{},]{0,40}") {
            arguments(&text);
            arguments(&likely);
            arguments(&format!("-rabbit log {likely}"));
        }
    }
}
