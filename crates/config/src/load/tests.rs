use std::fs;
use std::net::IpAddr;

use super::*;
use crate::settings::{
    AuthBackendKind, DiskLimit, Interceptors, Listener, LogFormat, LogLevel, PasswordRule, Rotation, Schedule, Syslog,
    SyslogProtocol, SyslogTransport, TlsVerify, Watermark,
};

/// A folder with files, and an environment.
struct Place {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            environment: Environment::default(),
            files: Vec::new(),
            flags: Vec::new(),
            etc: folder.path().join("etc"),
            own: folder.path().join("leveret.toml"),
            strict: false,
        };
        fs::create_dir_all(sources.etc.join("conf.d")).unwrap();
        Self { folder, sources }
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(path), text).unwrap();
        self
    }

    fn conf(text: &str) -> Self {
        Self::new().file("etc/rabbitmq.conf", text)
    }

    fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.sources.environment = Environment::new(variables);
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push(Flag { flag, key, value: value.to_owned() });
        self
    }

    fn load(&self) -> Loaded {
        load(&self.sources).unwrap_or_else(|error| panic!("{error}"))
    }

    fn settings(&self) -> Settings {
        let loaded = self.load();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        loaded.settings
    }

    fn error(&self) -> String {
        let text = load(&self.sources).unwrap_err().to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }

    fn warnings(&self) -> Vec<String> {
        let path = format!("{}/", self.folder.path().display());
        self.load().warnings.into_iter().map(|warning| warning.replace(&path, "")).collect()
    }

    fn origin(&self, key: &str) -> String {
        let row = self.load().origins.into_iter().find(|row| row.key == key).unwrap();
        format!("{} {}", row.value, row.origin).replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn all(port: u16) -> Listener {
    Listener { ip: None, port }
}

fn at(ip: &str, port: u16) -> Listener {
    Listener { ip: Some(ip.parse::<IpAddr>().unwrap()), port }
}

#[test]
fn defaults_are_rabbitmqs() {
    let s = Place::new().settings();
    assert_eq!((s.node.name.as_str(), s.node.data_dir.to_str()), ("rabbit@localhost", Some("leveret-data")));
    assert_eq!((s.listeners.tcp, s.listeners.tls), (vec![all(5672)], vec![]));
    assert_eq!((s.limits.heartbeat_s, s.limits.frame_bytes_max, s.limits.channel_max), (60, 131_072, 2047));
    assert_eq!((s.limits.consumer_timeout_ms, s.limits.message_bytes_max), (None, 128 << 20));
    assert_eq!((s.seed.user.as_str(), s.seed.password.as_str(), s.seed.vhost.as_str()), ("guest", "guest", "/"));
    assert_eq!((s.seed.tags, s.seed.loopback_users), (vec!["administrator".to_owned()], vec!["guest".to_owned()]));
    assert_eq!(s.resources.memory_watermark, Watermark::Relative(0.6));
    assert_eq!(s.resources.disk_free_limit, DiskLimit::Absolute(50_000_000));
    assert_eq!((s.management.http.port, s.prometheus.http.port), (Some(15672), Some(15692)));
    assert_eq!(s.auth.mechanisms, ["PLAIN", "AMQPLAIN", "ANONYMOUS"]);
    assert_eq!(s.auth.backends.values().map(|backend| backend.authn).collect::<Vec<_>>(), [AuthBackendKind::Internal]);
    assert_eq!(s.log.style, LogStyle::Own);
    assert!(!s.seed.is_user_explicit);
}

#[test]
fn files_of_the_wild_are_read() {
    // What the container image ships, what people mount, what an operator for Kubernetes writes.
    let place = Place::conf(
        "listeners.tcp.default = 5673\nlisteners.tcp.local = 127.0.0.1:5674\nloopback_users = none\n\
         default_user = ann\ndefault_pass = 'se#cret'\ndefault_user_tags.monitoring = true\n\
         default_permissions.configure = ^ann\\..*\n\
         vm_memory_high_watermark.absolute = 256MiB\nvm_memory_high_watermark_paging_ratio = 0.5\n\
         disk_free_limit.relative = 1.5\nconsumer_timeout = 31622400000\nchannel_max = 0\n\
         cluster_partition_handling = pause_minority\nqueue_leader_locator = balanced\n\
         cluster_name = mine\nmanagement.load_definitions = /etc/rabbitmq/definitions.json\n\
         log.console.level = debug\nlog.file = false\nlog.connection.level = error\nlog.console.formatter = json\n\
         prometheus.return_per_object_metrics = true\ndeprecated_features.permit.management_metrics_collection = true\n\
         auth_backends.1 = internal\nauth_backends.2.authn = ldap\nauth_backends.2.authz = internal\n\
         default_users.bob.password = b\ndefault_users.bob.tags = monitoring, policymaker\n\
         default_users.bob.vhost_pattern = ^x\ndefault_users.bob.configure = .*\n\
         default_policies.operator.short.message_ttl = 1h\ndefault_policies.operator.short.queue_pattern = .*\n\
         default_limits.vhosts.1.pattern = .*\ndefault_limits.vhosts.1.max_queues = 5\n\
         raft.wal_max_size_bytes = 64000000\nnum_acceptors.tcp = 20\ntcp_listen_options.backlog = 128",
    )
    .file("etc/conf.d/10-defaults.conf", "loopback_users.guest = false\nlog.console = true\n");
    let s = place.settings();
    assert_eq!(s.listeners.tcp, [all(5673), at("127.0.0.1", 5674)]);
    assert_eq!(s.seed.loopback_users, Vec::<String>::new());
    assert_eq!((s.seed.user.as_str(), s.seed.password.as_str()), ("ann", "se#cret"));
    assert_eq!(s.seed.tags, ["monitoring"]);
    assert_eq!((s.seed.permissions.configure.as_str(), s.seed.permissions.read.as_str()), ("^ann\\..*", ".*"));
    assert_eq!(s.resources.memory_watermark, Watermark::Absolute(256 << 20));
    assert_eq!(s.resources.disk_free_limit, DiskLimit::Relative(1.5));
    assert_eq!(s.limits.consumer_timeout_ms, Some(31_622_400_000));
    assert_eq!(s.node.cluster_name.as_deref(), Some("mine"));
    assert_eq!(s.definitions.path.unwrap().to_str(), Some("/etc/rabbitmq/definitions.json"));
    assert_eq!((s.log.console, s.log.console_level, s.log.is_file_off), (Some(true), Some(LogLevel::Debug), true));
    assert_eq!(s.log.categories.get("connection"), Some(&LogLevel::Error));
    assert_eq!((s.log.style, s.log.console_format), (LogStyle::Rabbit, LogFormat::Json));
    let backends: Vec<_> = s.auth.backends.values().map(|backend| (backend.authn, backend.authz)).collect();
    assert_eq!(
        backends,
        [(AuthBackendKind::Internal, AuthBackendKind::Internal), (AuthBackendKind::Ldap, AuthBackendKind::Internal)]
    );
    assert_eq!(s.seed.users["bob"].tags, ["monitoring", "policymaker"]);
    assert_eq!(s.seed.operator_policies["short"].definition["message-ttl"], 3_600_000);
    assert_eq!(s.seed.vhost_limits["1"].max_queues, Some(5));
}

#[test]
fn tls_of_testcontainers_is_read() {
    let s = Place::conf(
        "listeners.tcp = none\nlisteners.ssl.default = 5671\nssl_options.cacertfile = /etc/rabbitmq/ca_cert.pem\n\
         ssl_options.certfile = /etc/rabbitmq/rabbitmq_cert.pem\nssl_options.keyfile = /etc/rabbitmq/rabbitmq_key.pem\n\
         ssl_options.depth = 1\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
         ssl_options.versions.1 = tlsv1.2\nmanagement.ssl.port = 15671\nmanagement.ssl.certfile = /c\nmanagement.ssl.keyfile = /k\n",
    )
    .settings();
    assert_eq!((s.listeners.tcp, s.listeners.tls), (vec![], vec![all(5671)]));
    assert_eq!((s.tls.verify, s.tls.fail_if_no_peer_cert, s.tls.depth), (Some(TlsVerify::Peer), true, Some(1)));
    assert_eq!(s.tls.versions, ["tlsv1.2"]);
    assert_eq!((s.management.http.port, s.management.http.tls_port), (None, Some(15671)));
}

#[test]
fn tls_without_a_certificate_is_refused() {
    assert_eq!(
        Place::conf("listeners.ssl.1 = 5671").error(),
        "listeners.ssl needs ssl_options.certfile and ssl_options.keyfile"
    );
}

#[test]
fn each_source_wins_over_those_before_it() {
    let own = |place: Place| place.file("leveret.toml", "[limits]\nheartbeat = 1\n");
    let conf = |place: Place| place.file("etc/rabbitmq.conf", "heartbeat = 2\n");
    let more =
        |place: Place| place.file("etc/conf.d/a.conf", "heartbeat = 3\n").file("etc/conf.d/b.conf", "heartbeat = 4\n");
    let terms = |place: Place| place.file("etc/advanced.config", "[{rabbit, [{heartbeat, 5}]}].");
    let arguments = |place: Place| place.environment(&[("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit heartbeat 6")]);
    let flag = |place: Place| place.flag("--heartbeat", "heartbeat", "7");
    type Step<'a> = (&'a dyn Fn(Place) -> Place, u16, &'a str);
    let steps: [Step; 6] = [
        (&own, 1, "1 leveret.toml:2"),
        (&conf, 2, "2 etc/rabbitmq.conf:1"),
        (&more, 4, "4 etc/conf.d/b.conf:1"),
        (&terms, 5, "5 etc/advanced.config"),
        (&arguments, 6, "6 environment RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"),
        (&flag, 7, "7 flag --heartbeat"),
    ];
    let mut place = Place::new();
    assert_eq!(place.origin("heartbeat"), "60 default");
    for (step, expected, origin) in steps {
        place = step(place);
        assert_eq!(place.settings().limits.heartbeat_s, expected);
        assert_eq!(place.origin("heartbeat"), origin);
    }
}

#[test]
fn the_environment_wins_over_files_for_the_first_user() {
    let place = Place::conf("default_user = file\ndefault_pass = file")
        .environment(&[("RABBITMQ_DEFAULT_USER", "env"), ("RABBITMQ_DEFAULT_PASS", "env")]);
    let s = place.settings();
    assert_eq!((s.seed.user.as_str(), s.seed.password.as_str(), s.seed.is_user_explicit), ("env", "env", true));
    assert_eq!(place.origin("default_pass"), "******** environment RABBITMQ_DEFAULT_PASS");
    assert!(!Place::conf("default_user = file").settings().seed.is_user_explicit);
}

#[test]
fn a_port_from_above_stands_for_all_listeners() {
    let place = Place::conf("listeners.tcp.a = 1\nlisteners.tcp.b = 127.0.0.1:2");
    assert_eq!(place.settings().listeners.tcp, [all(1), at("127.0.0.1", 2)]);
    let place = place.environment(&[("RABBITMQ_NODE_PORT", "3")]);
    assert_eq!(place.settings().listeners.tcp, [all(3)]);
    let place = place.flag("--port", "listeners.tcp.default", "4").flag("--bind", "leveret.bind", "127.0.0.1");
    assert_eq!(place.settings().listeners.tcp, [at("127.0.0.1", 4)]);
    let bound =
        Place::conf("listeners.tcp.a = 1\nlisteners.tcp.b = [::1]:2").flag("--bind", "leveret.bind", "127.0.0.1");
    assert_eq!(bound.settings().listeners.tcp, [at("127.0.0.1", 1), at("127.0.0.1", 2)]);
}

#[test]
fn an_address_from_above_is_for_http_too() {
    let local = Some("127.0.0.1".parse().unwrap());
    let s = Place::conf("prometheus.tcp.ip = ::1").flag("--bind", "leveret.bind", "127.0.0.1").settings();
    assert_eq!((s.management.http.ip, s.prometheus.http.ip), (local, Some("::1".parse().unwrap())));
    let s = Place::new().environment(&[("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")]).settings();
    assert_eq!((s.listeners.tcp, s.management.http.ip), (vec![at("127.0.0.1", 5672)], None));
}

#[test]
fn a_free_port_takes_no_fixed_ones_beside_it() {
    let place = Place::new().flag("--port", "listeners.tcp.default", "0");
    let s = place.settings();
    assert_eq!((s.management.http.port, s.prometheus.http.port), (None, None));
    assert_eq!(place.origin("management.tcp.port"), "0 default");
    let s = place.flag("--management-port", "management.tcp.port", "auto").settings();
    assert_eq!((s.management.http.port, s.prometheus.http.port), (Some(0), None));
    let off = Place::new().flag("--management-port", "management.tcp.port", "0").settings();
    assert_eq!((off.management.http.port, off.prometheus.http.port), (None, Some(15692)));
}

#[test]
fn names_stand_for_what_the_environment_says() {
    let place = Place::conf("default_user = $(SEED_USERNAME)\ncluster_name = a-$(B)-$(heartbeat)")
        .environment(&[("SEED_USERNAME", "ann"), ("B", "b")]);
    let s = place.settings();
    assert_eq!((s.seed.user.as_str(), s.node.cluster_name.as_deref()), ("ann", Some("a-b-60")));
    assert_eq!(
        Place::conf("default_user = $(NOBODY)").error(),
        "etc/rabbitmq.conf:1: default_user: $(NOBODY) stands for nothing: there is no variable NOBODY in the environment"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let place = Place::conf(
        "heartbeat = soon\n\nframe_max = many\nlisteners.tcp.1 = here\nnonsense\ndefault_pass = encrypted:abc\n",
    );
    assert_eq!(
        place.error(),
        "etc/rabbitmq.conf:5: expected `key = value`\n\
         etc/rabbitmq.conf:6: default_pass: encrypted values are not supported: write the value itself, or $(NAME) to take it \
         from the environment\n\
         etc/rabbitmq.conf:3: frame_max = many: expected a number of bytes such as 1000000, 50MB or 64MiB\n\
         etc/rabbitmq.conf:1: heartbeat = soon: expected a whole number from 0 to 65535\n\
         etc/rabbitmq.conf:4: listeners.tcp.1 = here: expected a port such as 5672, or an address and a port such as \
         127.0.0.1:5672"
    );
}

#[test]
fn what_has_no_effect_is_told_unless_it_is_harmless() {
    let text = "hartbeat = 5\nmqtt.listeners.tcp.default = 1883\nmqtt.allow_anonymous = true\nstomp.listeners.tcp = none\n\
                raft.wal_max_entries = 5\nmirroring_sync_batch_size = 5\n";
    let mut place = Place::conf(text);
    let expected = [
        "etc/rabbitmq.conf:1: the key hartbeat is not known and has no effect: did you mean heartbeat?",
        "mqtt.allow_anonymous (etc/rabbitmq.conf:3) and 1 more of its kind have no effect: MQTT is not spoken",
    ];
    let deprecated = "etc/rabbitmq.conf:6: mirroring_sync_batch_size is deprecated; in its place there is nothing: it has no effect \
                      in RabbitMQ either";
    assert_eq!(place.warnings(), [deprecated, expected[0], expected[1]]);
    place.sources.strict = true;
    assert_eq!(place.error(), expected.join("\n"));
}

#[test]
fn both_ways_to_say_an_amount_are_told() {
    let place = Place::conf("vm_memory_high_watermark.relative = 0.5\nvm_memory_high_watermark.absolute = 1GB\n");
    assert_eq!(place.warnings().len(), 1);
    assert_eq!(place.load().settings.resources.memory_watermark, Watermark::Absolute(1_000_000_000));
}

#[test]
fn a_named_file_is_read_alone_and_must_be_there() {
    let mut place = Place::conf("heartbeat = 1")
        .file("mine.conf", "channel_max = 5")
        .file("mine.toml", "[limits]\nframe_max = 9000\n");
    place.sources.files = vec![place.folder.path().join("mine.conf"), place.folder.path().join("mine.toml")];
    let limits = place.settings().limits;
    assert_eq!((limits.heartbeat_s, limits.channel_max, limits.frame_bytes_max), (60, 5, 9000));
    place.sources.files = vec![place.folder.path().join("nowhere.conf")];
    assert!(place.error().starts_with("cannot read nowhere.conf: "), "{}", place.error());
}

#[test]
fn rabbitmqs_file_is_found_by_each_of_its_names() {
    for (name, file, text) in [
        ("custom.conf", "custom.conf", "heartbeat = 5"),
        ("custom", "custom.conf", "heartbeat = 5"),
        ("custom", "custom.config", "[{rabbit, [{heartbeat, 5}]}]."),
        ("custom.config", "custom.config", "%% old\n[{rabbit, [{heartbeat, 5}]}]."),
        ("custom", "custom", "heartbeat = 5"),
        ("custom", "custom", "[{rabbit, [{heartbeat, 5}]}]."),
    ] {
        let place = Place::conf("heartbeat = 1").file(file, text);
        let path = place.folder.path().join(name);
        let place = place.environment(&[("RABBITMQ_CONFIG_FILE", path.to_str().unwrap())]);
        assert_eq!(place.settings().limits.heartbeat_s, 5, "{name} {file}");
    }
    let place = Place::conf("heartbeat = 1").environment(&[("RABBITMQ_CONFIG_FILE", "/nowhere/x")]);
    assert_eq!(place.warnings(), ["environment RABBITMQ_CONFIG_FILE: there is no file /nowhere/x"]);
    assert_eq!(
        Place::new().file("etc/rabbitmq.config", "[{rabbit, [{heartbeat, 5}]}].").settings().limits.heartbeat_s,
        5
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_empty_one() {
    let place = Place::conf("heartbeat = 5");
    fs::remove_dir(place.sources.etc.join("conf.d")).unwrap();
    assert_eq!(place.settings().limits.heartbeat_s, 5);
    let place = place.environment(&[("RABBITMQ_CONFIG_FILES", "/nowhere/conf.d")]);
    assert_eq!(place.settings().limits.heartbeat_s, 5);
    let place = Place::new().file("etc/a.conf", "heartbeat = 1").file("etc/b.conf", "channel_max = 2");
    for (name, expected) in [("etc/a.conf", (1, 2047)), ("etc/*.conf", (1, 2)), ("etc", (1, 2))] {
        let path = place.folder.path().join(name);
        let mut sources = place.sources.clone();
        sources.environment =
            Environment::new([("RABBITMQ_CONFIG_FILES".to_owned(), path.to_str().unwrap().to_owned())]);
        let limits = load(&sources).unwrap().settings.limits;
        assert_eq!((limits.heartbeat_s, limits.channel_max), expected, "{name}");
    }
}

#[test]
fn files_include_others_but_not_without_end() {
    let place = Place::conf("include conf.d/*.conf\n").file("etc/conf.d/x.conf", "heartbeat = 9\n");
    assert_eq!(place.settings().limits.heartbeat_s, 9);
    let place = Place::conf("include rabbitmq.conf\n");
    assert!(place.error().contains("include one another more than"), "{}", place.error());
}

#[test]
fn enabled_plugins_are_listed() {
    let place = Place::new().file("etc/enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n");
    assert_eq!(place.settings().plugins, ["rabbitmq_management", "rabbitmq_prometheus"]);
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_shovel")]);
    assert_eq!(place.settings().plugins, ["rabbitmq_shovel"]);
}

#[test]
fn an_anonymous_user_has_its_password() {
    let auth = |text: &str| {
        let auth = Place::conf(text).settings().auth;
        (auth.anonymous_user, auth.anonymous_password)
    };
    let some = |user: &str, password: &str| (Some(user.to_owned()), password.to_owned());
    assert_eq!(auth(""), some("guest", "guest"));
    assert_eq!(auth("anonymous_login_user = ann\nanonymous_login_pass = secret\n"), some("ann", "secret"));
    assert_eq!(auth("anonymous_login_pass = secret\n"), some("guest", "secret"));
    assert_eq!(auth("anonymous_login_user = none\n").0, None);
}

#[test]
fn what_is_secret_is_not_shown() {
    let place = Place::conf(
        "auth_http.user_path = http://u:p@host/user\nauth_http.vhost_path = http://host/a@b:c\n\
         stomp.default_pass = p\ncluster_formation.consul.acl_token = p\nheartbeat = 5\n",
    );
    for (key, shown) in [
        ("auth_http.user_path", "http://u:********@host/user"),
        ("auth_http.vhost_path", "http://host/a@b:c"),
        ("stomp.default_pass", "********"),
        ("cluster_formation.consul.acl_token", "********"),
        ("heartbeat", "5"),
    ] {
        assert_eq!(place.origin(key).split(' ').next(), Some(shown), "{key}");
    }
}

#[test]
fn hidden_files_are_none_of_ours() {
    // What a Mac leaves beside a file that it copies.
    let place =
        Place::new().file("etc/conf.d/10.conf", "heartbeat = 5\n").file("etc/conf.d/._10.conf", "\u{0}\u{5}\u{16}\n");
    assert_eq!(place.settings().limits.heartbeat_s, 5);
}

#[test]
fn the_old_kind_of_file_comes_first() {
    let place = Place::conf("heartbeat = 5\n").file("etc/rabbitmq.config", "[{rabbit, [{heartbeat, 6}]}].");
    assert_eq!(place.warnings(), ["etc/rabbitmq.config is read, and etc/rabbitmq.conf is not"]);
    assert_eq!(place.load().settings.limits.heartbeat_s, 6);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let place = Place::new();
    for name in ["etc/rabbitmq-env.conf", "etc/enabled_plugins"] {
        fs::create_dir(place.folder.path().join(name)).unwrap();
    }
    let warnings = place.warnings();
    assert!(warnings.iter().all(|warning| warning.starts_with("cannot read etc/")), "{warnings:?}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn the_environment_may_leave_plugins_out() {
    let ports = |place: &Place| {
        let s = place.settings();
        (s.management.http.port, s.prometheus.http.port)
    };
    // A file is shown, and no more: HTTP is part of the broker here.
    let place = Place::new().file("etc/enabled_plugins", "[rabbitmq_prometheus].");
    assert_eq!(ports(&place), (Some(15672), Some(15692)));
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_prometheus")]);
    assert_eq!(ports(&place), (None, Some(15692)));
    // What needs the HTTP API brings it.
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_shovel_management")]);
    assert_eq!(ports(&place), (Some(15672), None));
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_management_agent,rabbitmq_tracing")]);
    assert_eq!(ports(&place), (Some(15672), None));
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS", "rabbitmq_management_agent")]);
    assert_eq!(ports(&place), (None, None));
    let place = place.environment(&[("RABBITMQ_ENABLED_PLUGINS_FILE", "/nowhere")]);
    assert_eq!(ports(&place), (None, None));
    assert_eq!(ports(&place.flag("--management-port", "management.tcp.port", "15672")), (Some(15672), None));
}

#[test]
fn the_node_name_has_no_host_in_it() {
    for (name, expected) in [("rabbit@myhost", "rabbit@myhost"), ("mynode", "mynode@localhost")] {
        let place = Place::new().environment(&[("RABBITMQ_NODENAME", name)]);
        assert_eq!(place.settings().node.name, expected);
    }
}

#[test]
fn scope_aliases_are_said_in_two_ways() {
    let text = "auth_oauth2.scope_aliases.admin = a b\nauth_oauth2.scope_aliases.1.alias = dev.user\n\
                auth_oauth2.scope_aliases.1.scope = c\n";
    let aliases = Place::conf(text).settings().auth.oauth2.scope_aliases;
    let expected = [("admin", "a b"), ("dev.user", "c")];
    assert_eq!(aliases, expected.map(|(alias, scope)| (alias.to_owned(), scope.to_owned())).into_iter().collect());
}

#[test]
fn lists_go_by_numbers() {
    let text = "auth_mechanisms.10 = C\nauth_mechanisms.9 = B\nauth_mechanisms.1 = A\n";
    assert_eq!(Place::conf(text).settings().auth.mechanisms, ["A", "B", "C"]);
}

#[test]
fn the_log_goes_to_many_places() {
    let text = "log.file.rotation.date = $W5D16\nlog.file.rotation.size = 10MB\nlog.file.rotation.count = 5\n\
                log.connection.file = c.log\nlog.connection.rotation.count = 2\nlog.queue.rotation.date = ''\n\
                log.exchange = true\nlog.exchange.level = warning\nlog.exchange.formatter = json\n\
                log.journald.level = error\nlog.syslog.level = info\nlog.syslog.facility = local7\n\
                log.syslog.identity = mine\nlog.syslog.host = logs.example\nlog.syslog.ip = 127.0.0.1\n\
                log.syslog.port = 1514\nlog.syslog.transport = tcp\nlog.syslog.protocol = rfc5424\n";
    let log = Place::conf(text).settings().log;
    let date = Some(Schedule::Week { day: 5, hour: 16 });
    assert_eq!(log.rotation, Rotation { date, size_bytes: 10_000_000, count: 5 });
    assert_eq!(log.category_files.get("connection"), Some(&"c.log".into()));
    assert_eq!(log.category_rotations.get("connection").map(|rotation| rotation.count), Some(2));
    assert_eq!(log.category_rotations.get("queue"), Some(&Rotation::default()));
    assert_eq!((log.exchange_level, log.exchange_format), (Some(LogLevel::Warning), LogFormat::Json));
    assert!(log.is_to_exchange() && log.is_to_journald() && log.syslog.is_on());
    let Syslog { facility, identity, port, transport, protocol, .. } = log.syslog;
    assert_eq!((facility, identity.as_deref(), port), (23, Some("mine"), 1514));
    assert_eq!((transport, protocol), (SyslogTransport::Tcp, SyslogProtocol::Rfc5424));
    let log =
        Place::conf("log.exchange = false\nlog.exchange.level = info\nlog.journald.level = none\n").settings().log;
    assert!(!log.is_to_exchange() && !log.is_to_journald() && !log.syslog.is_on());
    assert_eq!((log.syslog.port, log.syslog.facility), (514, 3));
}

#[test]
fn no_log_goes_to_a_syslog_by_tls() {
    let place = Place::conf("log.syslog = true\nlog.syslog.transport = tls\n");
    assert!(!place.load().settings.log.syslog.is_on());
    assert_eq!(place.warnings(), ["nothing is sent to a syslog by TLS: the log does not go there"]);
}

#[test]
fn limits_of_the_node_are_read() {
    let text = "vhost_max = 5\ncluster_queue_limit = 0\ncluster_exchange_limit = infinity\n\
                message_interceptors.incoming.set_header_timestamp.overwrite = true\n\
                message_interceptors.incoming.set_header_routing_node.overwrite = false\n";
    let terms = "[{rabbit, [{default_consumer_prefetch, {true, 250}}]}].";
    let s = Place::conf(text).file("etc/advanced.config", terms).settings();
    assert_eq!((s.limits.vhost_max, s.limits.queue_max, s.limits.exchange_max), (Some(5), Some(0), None));
    assert_eq!((s.limits.default_prefetch, s.limits.default_prefetch_is_global), (250, true));
    assert_eq!(s.interceptors, Interceptors { timestamp: Some(true), routing_node: Some(false) });
}

#[test]
fn rules_for_passwords_are_whole() {
    let rule = "credential_validator.validation_backend = rabbit_credential_validator_";
    let passwords = Place::conf(&format!("{rule}min_password_length\n")).settings().auth.passwords;
    assert_eq!((passwords.rule, passwords.bytes_min), (PasswordRule::Length, 5));
    let passwords = Place::conf(&format!("{rule}password_regexp\ncredential_validator.regexp = ^a\n")).settings();
    assert_eq!(passwords.auth.passwords.pattern.as_deref(), Some("^a"));
    let missing = Place::conf(&format!("{rule}password_regexp\n")).error();
    assert!(missing.contains("needs credential_validator.regexp"), "{missing}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_files_are_too_strange(conf in ".{0,80}", terms in ".{0,80}", own in ".{0,80}", value in "[ -~]{0,20}", index in 0_usize..500) {
        let keys = crate::keys::all();
        let key = keys[index % keys.len()].pattern.replace('$', "");
        let place = Place::conf(&format!("{conf}\n{key} = {value}\n"))
            .file("etc/advanced.config", &terms)
            .file("etc/enabled_plugins", &terms)
            .file("leveret.toml", &own);
        let _ = load(&place.sources);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let place = Place::new();
        for name in ["etc/rabbitmq.conf", "etc/advanced.config", "etc/rabbitmq-env.conf", "leveret.toml"] {
            fs::write(place.folder.path().join(name), &bytes).unwrap();
        }
        let _ = load(&place.sources);
    }
}
