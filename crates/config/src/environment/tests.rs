use super::*;

fn said(variables: &[(&str, &str)]) -> Said {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::new(variables).said(&|path| match path.to_str() {
        Some("/run/secrets/pass") => Ok("from a file\n".to_owned()),
        _ => Err("no such file".to_owned()),
    })
}

fn pairs(said: &Said) -> Vec<(&str, &str)> {
    said.assignments.iter().map(|said| (said.key.as_str(), said.value.as_str())).collect()
}

#[test]
fn variables_stand_for_keys() {
    for (variables, expected) in [
        (
            vec![("RABBITMQ_DEFAULT_USER", "ann"), ("RABBITMQ_DEFAULT_PASS", "x")],
            vec![("default_user", "ann"), ("default_pass", "x")],
        ),
        (vec![("RABBITMQ_DEFAULT_PASS", "")], vec![]),
        (vec![("RABBITMQ_DEFAULT_PASS_FILE", "/run/secrets/pass")], vec![("default_pass", "from a file")]),
        (vec![("RABBITMQ_NODENAME", "rabbit@here")], vec![("leveret.node_name", "rabbit@here")]),
        (vec![("RABBITMQ_NODE_PORT", "5673")], vec![("listeners.tcp.default", "5673")]),
        (vec![("RABBITMQ_NODE_IP_ADDRESS", "auto")], vec![]),
        (
            vec![("RABBITMQ_NODE_PORT", "5673"), ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")],
            vec![("listeners.tcp.default", "5673"), ("leveret.bind", "127.0.0.1")],
        ),
        (vec![("RABBITMQ_VHOSTS", "a, b")], vec![("leveret.vhosts.1", "a"), ("leveret.vhosts.2", "b")]),
        (vec![("RABBITMQ_PLUGINS", "p;q")], vec![("leveret.plugins.1", "p"), ("leveret.plugins.2", "q")]),
        (vec![("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "0.5")], vec![("vm_memory_high_watermark.relative", "0.5")]),
        (vec![("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "40%")], vec![("vm_memory_high_watermark.relative", "40%")]),
        (vec![("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "1GiB")], vec![("vm_memory_high_watermark.absolute", "1GiB")]),
        (
            vec![("RABBITMQ_SSL_CERTFILE", "/c.pem")],
            vec![("ssl_options.certfile", "/c.pem"), ("listeners.ssl.default", "5671")],
        ),
        (
            vec![("RABBITMQ_LOGS", "-")],
            vec![("log.console", "true"), ("log.console.stdio", "stdout"), ("log.file", "false")],
        ),
        (vec![("RABBITMQ_LOGS", "exchange:")], vec![("log.exchange", "true"), ("log.file", "false")]),
        (vec![("RABBITMQ_LOGS", "syslog:")], vec![("log.syslog", "true"), ("log.file", "false")]),
        (vec![("RABBITMQ_LOGS", "/var/log/x.log")], vec![("log.console", "false"), ("log.file", "/var/log/x.log")]),
        (
            vec![("RABBITMQ_LOG", "debug,connection=error,+color")],
            vec![("log.default.level", "debug"), ("log.connection.level", "error")],
        ),
        (
            vec![("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit consumer_timeout false")],
            vec![("consumer_timeout", "false")],
        ),
        (vec![("RABBITMQ_MNESIA_BASE", "/data")], vec![("leveret.data_dir", "/data/leveret")]),
        (
            vec![("RABBITMQ_MNESIA_DIR", "/data/x"), ("RABBITMQ_MNESIA_BASE", "/data")],
            vec![("leveret.data_dir", "/data/x")],
        ),
        (vec![("LEVERET_DATA_DIR", "/own"), ("RABBITMQ_MNESIA_DIR", "/data/x")], vec![("leveret.data_dir", "/own")]),
        (
            vec![("RABBITMQ_DATA_DIR", "/var/lib/rabbitmq")],
            vec![("leveret.data_dir", "/var/lib/rabbitmq/mnesia/leveret")],
        ),
        (vec![("LEVERET_EPHEMERAL", "1")], vec![("leveret.ephemeral", "true")]),
        (vec![("LEVERET_REMOTE_GUEST", "0")], vec![]),
        (vec![("LEVERET_REMOTE_GUEST", "true")], vec![("loopback_users", "none")]),
    ] {
        let said = said(&variables);
        assert_eq!(pairs(&said), expected, "{variables:?}");
        assert_eq!((said.warnings, said.problems), (vec![], vec![]), "{variables:?}");
    }
}

#[test]
fn rabbitmqs_own_names_win_over_bitnamis() {
    let said = said(&[("RABBITMQ_DEFAULT_USER", "right"), ("RABBITMQ_USERNAME", "other")]);
    assert_eq!(pairs(&said).last(), Some(&("default_user", "right")));
}

#[test]
fn wrong_names_are_told() {
    for (name, meant) in [
        ("RABBITMQ_DEFAULT_PASSWORD", Some("RABBITMQ_DEFAULT_PASS")),
        ("RABBITMQ_DEFUALT_USER", Some("RABBITMQ_DEFAULT_USER")),
        ("RABBITMQ_NODE_NANE", Some("RABBITMQ_NODE_NAME")),
        // Kubernetes and applications have their own.
        ("RABBITMQ_PORT_5672_TCP_ADDR", None),
        ("RABBITMQ_SERVICE_HOST", None),
        ("RABBITMQ_URL", None),
        ("RABBITMQ_HOST", None),
        ("RABBITMQ_ERLANG_COOKIE", None),
        ("RABBITMQ_VERSION", None),
    ] {
        let warnings = said(&[(name, "x")]).warnings;
        let expected = meant.map(|meant| format!("{name} has no effect: did you mean {meant}?"));
        assert_eq!(warnings, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_a_problem() {
    assert_eq!(said(&[("RABBITMQ_DEFAULT_USER_FILE", "/nowhere")]).problems.len(), 1);
}

#[test]
fn a_file_completes_the_environment() {
    let variables = [("RABBITMQ_NODENAME", "rabbit@env"), ("RABBITMQ_NODE_PORT", "")];
    let mut environment = Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let text = "# comment\nNODENAME=rabbit@file\nexport NODE_PORT=5673\nRABBITMQ_LOGS=\"-\" # why\nCONFIG_FILE='/x y'\nnonsense\n";
    environment.complete(Path::new("/etc/rabbitmq/rabbitmq-env.conf"), text);
    for (name, value) in [
        ("RABBITMQ_NODENAME", "rabbit@env"),
        ("RABBITMQ_NODE_PORT", "5673"),
        ("RABBITMQ_LOGS", "-"),
        ("RABBITMQ_CONFIG_FILE", "/x y"),
    ] {
        assert_eq!(environment.get(name), Some(value), "{name}");
    }
    assert_eq!(environment.origin("RABBITMQ_NODE_PORT").to_string(), "/etc/rabbitmq/rabbitmq-env.conf:3");
}

#[test]
fn keys_are_known() {
    for (name, key) in PLAIN.iter().chain(OWN) {
        assert!(crate::keys::find(&crate::conf::words(key)).is_some(), "{name}");
    }
}
