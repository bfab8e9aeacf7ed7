//! The variables that images and hosts set.

use leveret_tests::broker::skip_without_process;
use leveret_tests::ports::free_ports;

use crate::host::{Host, Server, text};

/// A server on a host whose environment says more than usual.
fn with(variables: &[(&str, &str)]) -> (Host, Server) {
    let mut host = Host::new();
    for (name, value) in variables {
        host.set(name, value);
    }
    let server = host.start();
    (host, server)
}

#[test]
fn the_default_user_comes_from_the_environment() {
    if skip_without_process("the_default_user_comes_from_the_environment") {
        return;
    }
    let user =
        [("RABBITMQ_DEFAULT_USER", "app"), ("RABBITMQ_DEFAULT_PASS", "p w"), ("RABBITMQ_DEFAULT_VHOST", "orders")];
    let (host, server) = with(&user);
    assert!(host.knows("app", "p w") && !host.knows("guest", "guest"));
    let vhosts = host.get("/api/vhosts", "app:p w");
    assert_eq!(vhosts.as_array().map(Vec::len), Some(1), "{vhosts}");
    assert_eq!(vhosts[0]["name"], "orders");
    assert_eq!(host.get("/api/users/app", "app:p w")["tags"], serde_json::json!(["administrator"]));
    assert_eq!(host.get("/api/permissions/orders/app", "app:p w")["configure"], ".*");
    server.stop();
}

#[test]
fn the_environment_wins_over_the_configuration() {
    if skip_without_process("the_environment_wins_over_the_configuration") {
        return;
    }
    let mut host = Host::new();
    host.write("etc/rabbitmq.conf", "default_user = file\ndefault_pass = file\n");
    host.set("RABBITMQ_DEFAULT_USER", "environment");
    host.set("RABBITMQ_DEFAULT_PASS", "environment");
    let server = host.start();
    assert!(host.knows("environment", "environment") && !host.knows("file", "file"));
    server.stop();
}

#[test]
fn secrets_may_lie_in_files() {
    if skip_without_process("secrets_may_lie_in_files") {
        return;
    }
    let mut host = Host::new();
    host.write("user", "app\n");
    host.write("pass", "from a file\n");
    host.set("RABBITMQ_DEFAULT_USER_FILE", &host.shown("user"));
    host.set("RABBITMQ_DEFAULT_PASS_FILE", &host.shown("pass"));
    let server = host.start();
    assert!(host.knows("app", "from a file"), "{}", server.output());
    server.stop();
}

#[test]
fn a_variable_that_was_mistaken_is_told() {
    if skip_without_process("a_variable_that_was_mistaken_is_told") {
        return;
    }
    let (_host, server) = with(&[("RABBITMQ_DEFAULT_PASSWORD", "x")]);
    assert!(server.output().contains("RABBITMQ_DEFAULT_PASS"), "{}", server.output());
    assert!(server.output().contains("RABBITMQ_DEFAULT_PASSWORD"), "{}", server.output());
    server.stop();
}

#[test]
fn the_nodes_name_is_the_environments() {
    if skip_without_process("the_nodes_name_is_the_environments") {
        return;
    }
    let (host, server) = with(&[("RABBITMQ_NODENAME", "broker@localhost")]);
    assert_eq!(host.get("/api/overview", "guest:guest")["node"], "broker@localhost");
    // Commands may name it, or another: there is one.
    for words in [&["rabbitmqctl", "-n", "broker@localhost", "ping"][..], &["rabbitmqctl", "--node", "broker", "ping"]]
    {
        let output = host.run(words);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
    }
    server.stop();
}

#[test]
fn the_port_and_the_address_are_the_environments() {
    if skip_without_process("the_port_and_the_address_are_the_environments") {
        return;
    }
    let mut host = Host::new();
    let [port] = free_ports();
    host.set("RABBITMQ_NODE_PORT", &port.to_string());
    host.set("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    let server = host.start();
    assert!(server.output().contains(&format!("127.0.0.1:{port}")), "{}", server.output());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    server.stop();
}

#[test]
fn arguments_of_erlang_are_read_or_passed_over() {
    if skip_without_process("arguments_of_erlang_are_read_or_passed_over") {
        return;
    }
    let arguments =
        "-rabbit consumer_timeout 7200000 -rabbit channel_max 300 +S 1:1 +MBas aobf -kernel inet_default_x 1";
    let (host, server) = with(&[("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments)]);
    assert_eq!(host.setting("consumer_timeout"), "{ok,7200000}");
    assert_eq!(host.setting("channel_max"), "{ok,300}");
    server.stop();
}

#[test]
fn definitions_may_be_named_by_arguments_of_erlang() {
    if skip_without_process("definitions_may_be_named_by_arguments_of_erlang") {
        return;
    }
    let mut host = Host::new();
    host.write(
        "definitions.json",
        r#"{"users":[{"name":"u","password":"p","tags":"administrator"}],"vhosts":[{"name":"v"}]}"#,
    );
    let arguments = format!("-rabbitmq_management load_definitions \"{}\"", host.shown("definitions.json"));
    host.set("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", &arguments);
    let server = host.start();
    assert!(host.knows("u", "p"), "{}", server.output());
    server.stop();
}

#[test]
fn rabbitmq_env_conf_has_the_names_without_a_prefix() {
    if skip_without_process("rabbitmq_env_conf_has_the_names_without_a_prefix") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq-env.conf", "# as Debian has it\nNODENAME=fromfile@localhost\n");
    let server = host.start();
    assert_eq!(host.get("/api/overview", "guest:guest")["node"], "fromfile@localhost");
    server.stop();
}

#[test]
fn a_configuration_file_may_be_named_with_and_without_its_extension() {
    if skip_without_process("a_configuration_file_may_be_named_with_and_without_its_extension") {
        return;
    }
    for (file, named, content) in [
        ("etc/custom.conf", "etc/custom.conf", "heartbeat = 33\n"),
        ("etc/custom.conf", "etc/custom", "heartbeat = 33\n"),
        ("etc/custom.config", "etc/custom.config", "[{rabbit, [{heartbeat, 33}]}].\n"),
        ("etc/custom.config", "etc/custom", "[{rabbit, [{heartbeat, 33}]}].\n"),
    ] {
        let mut host = Host::new();
        host.write(file, content);
        host.set("RABBITMQ_CONFIG_FILE", &host.shown(named));
        let server = host.start();
        assert_eq!(host.setting("heartbeat"), "{ok,33}", "{named}");
        server.stop();
    }
}

#[test]
fn what_means_nothing_here_does_no_harm() {
    if skip_without_process("what_means_nothing_here_does_no_harm") {
        return;
    }
    let (_host, server) = with(&[
        ("RABBITMQ_ERLANG_COOKIE", "secret"),
        ("RABBITMQ_USE_LONGNAME", "true"),
        ("RABBITMQ_DIST_PORT", "25672"),
        ("RABBITMQ_FEATURE_FLAGS", "quorum_queue"),
        ("RABBITMQ_QUORUM_DIR", "/nowhere"),
        ("RABBITMQ_PLUGINS_DIR", "/nowhere"),
        ("RABBITMQ_IO_THREAD_POOL_SIZE", "128"),
        ("RABBITMQ_ALLOW_INPUT", "true"),
        ("RABBITMQ_LOG", "debug"),
        ("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "0.5"),
    ]);
    server.stop();
}

#[test]
fn the_product_may_have_another_name() {
    if skip_without_process("the_product_may_have_another_name") {
        return;
    }
    let (host, server) = with(&[("RABBITMQ_PRODUCT_NAME", "Ours"), ("RABBITMQ_PRODUCT_VERSION", "7.1")]);
    let overview = host.get("/api/overview", "guest:guest");
    assert_eq!((&overview["product_name"], &overview["product_version"]), (&"Ours".into(), &"7.1".into()));
    // What clients branch on stays what it is.
    assert!(overview["rabbitmq_version"].as_str().is_some_and(|version| version.starts_with("4.")), "{overview}");
    server.stop();
}
