//! A project that was made for RabbitMQ's image: its environment, its mounted files, its health check, unchanged.

use leveret_tests::broker::skip_without_process;

use crate::host::{Host, http, text};

const CONFIGURATION: &str = "\
# Comes from a project that was made for RabbitMQ.
loopback_users.guest = false
listeners.tcp.local = 127.0.0.1:$(RABBITMQ_NODE_PORT)
default_user = somebody-else
default_pass = $(SEED_PASSWORD)
default_vhost = orders
default_user_tags.administrator = true
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
management.load_definitions = $(DEFINITIONS)
management.rates_mode = basic
vm_memory_high_watermark.relative = 0.7
vm_memory_high_watermark_paging_ratio = 0.75
disk_free_limit.absolute = 20MB
consumer_timeout = 3600000
heartbeat = 30
frame_max = 131072
channel_max = 500
max_message_size = 16777216
log.console = true
log.console.level = info
log.file = false
cluster_name = compose
cluster_partition_handling = autoheal
cluster_formation.peer_discovery_backend = classic_config
queue_leader_locator = balanced
collect_statistics_interval = 5000
classic_queue.default_version = 2
raft.wal_max_size_bytes = 64000000
deprecated_features.permit.transient_nonexcl_queues = true
prometheus.return_per_object_metrics = false
mqtt.allow_anonymous = false
tcp_listen_options.backlog = 128
tcp_listen_options.nodelay = true
num_acceptors.tcp = 10
handshake_timeout = 10000
motd_file = /etc/rabbitmq/motd
# The last line has no end.
default_queue_type = classic";

const DEFINITIONS: &str = r#"{
  "rabbit_version": "3.12.4",
  "rabbitmq_version": "3.12.4",
  "product_name": "RabbitMQ",
  "users": [
    {"name": "app", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
     "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator,monitoring"}
  ],
  "vhosts": [{"name": "/"}, {"name": "orders"}],
  "permissions": [{"user": "app", "vhost": "orders", "configure": ".*", "write": ".*", "read": ".*"}],
  "topic_permissions": [],
  "parameters": [],
  "global_parameters": [{"name": "cluster_name", "value": "rabbit@old-host"}],
  "policies": [{"vhost": "orders", "name": "ha", "pattern": "^ha\\.", "apply-to": "all",
                "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}, "priority": 0}],
  "queues": [{"name": "incoming", "vhost": "orders", "durable": true, "auto_delete": false,
              "arguments": {"x-queue-type": "classic", "x-dead-letter-exchange": "dead"}}],
  "exchanges": [{"name": "dead", "vhost": "orders", "type": "fanout", "durable": true, "auto_delete": false,
                 "internal": false, "arguments": {}}],
  "bindings": [{"source": "dead", "vhost": "orders", "destination": "incoming", "destination_type": "queue",
                "routing_key": "", "arguments": {}}]
}
"#;

/// The password of the user in the file.
const APP: &str = "app:test12";

fn project() -> Host {
    let mut host = Host::new();
    host.write("etc/rabbitmq.conf", CONFIGURATION);
    host.write("etc/definitions.json", DEFINITIONS);
    host.write("etc/conf.d/20-more.conf", "heartbeat = 45\n");
    host.write("etc/enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_shovel].\n");
    host.write("etc/advanced.config", "[\n  {rabbit, [{channel_max, 600}]}\n].\n");
    let definitions = host.shown("etc/definitions.json");
    for (name, value) in [
        ("DEFINITIONS", definitions.as_str()),
        ("SEED_PASSWORD", "from-the-environment"),
        ("RABBITMQ_ERLANG_COOKIE", "secret"),
        ("RABBITMQ_NODENAME", "rabbit@broker"),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-rabbit log_levels [{connection,error}] +S 1:1"),
    ] {
        host.set(name, value);
    }
    host
}

#[test]
fn a_project_made_for_rabbitmq_works_unchanged() {
    if skip_without_process("a_project_made_for_rabbitmq_works_unchanged") {
        return;
    }
    let host = project();
    let server = host.start();
    let healthy = host.shell("rabbitmq-diagnostics -q ping && rabbitmq-diagnostics -q check_port_connectivity");
    assert!(healthy.status.success(), "{}", text(&healthy));
    let queue = host.get("/api/queues/orders/incoming", APP);
    assert_eq!(queue["arguments"]["x-dead-letter-exchange"], "dead");
    assert_eq!(queue["node"], "rabbit@broker");
    assert_eq!(host.get("/api/policies/orders/ha", APP)["definition"]["ha-mode"], "all");
    // Definitions on a fresh node: the users are theirs alone.
    assert!(!host.knows("guest", "guest") && !host.knows("somebody-else", "from-the-environment"));
    assert!(host.knows("app", "test12"));
    let plugins = host.run(&["rabbitmq-plugins", "is_enabled", "rabbitmq_shovel"]);
    assert!(plugins.status.success(), "{}", text(&plugins));
    assert!(server.output().contains("have definitions to load"), "{}", server.output());
    server.stop();
}

#[test]
fn what_a_project_has_declared_is_there_after_a_restart() {
    if skip_without_process("what_a_project_has_declared_is_there_after_a_restart") {
        return;
    }
    let mut host = project();
    let server = host.start();
    let made =
        host.shell("rabbitmqctl add_user late secret && rabbitmqctl set_permissions -p orders late '.*' '.*' '.*'");
    assert!(made.status.success(), "{}", text(&made));
    server.stop();
    // Another name of the container, as a new one has: the data is found all the same.
    host.set("RABBITMQ_NODENAME", "rabbit@another");
    let server = host.start();
    assert!(host.knows("late", "secret"));
    assert_eq!(host.get("/api/overview", APP)["node"], "rabbit@another");
    server.stop();
}

#[test]
fn later_files_and_lines_win() {
    if skip_without_process("later_files_and_lines_win") {
        return;
    }
    let host = project();
    let server = host.start();
    assert_eq!(host.setting("heartbeat"), "{ok,45}", "conf.d comes after rabbitmq.conf");
    assert_eq!(host.setting("channel_max"), "{ok,600}", "advanced.config comes last");
    server.stop();
}

#[test]
fn an_unknown_key_is_told_and_does_no_harm() {
    if skip_without_process("an_unknown_key_is_told_and_does_no_harm") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq.conf", "defualt_user = ours\nsome_plugin.key = 1\n");
    let server = host.start();
    assert!(server.output().contains("defualt_user"), "{}", server.output());
    assert!(server.output().contains("did you mean"), "{}", server.output());
    server.stop();
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    if skip_without_process("a_wrong_value_is_refused_with_its_place") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq.conf", "heartbeat = often\n");
    let mut server = host.spawn(&["rabbitmq-server"]);
    assert_ne!(server.wait(), Some(0));
    assert!(server.output().contains("rabbitmq.conf:1"), "{}", server.output());
}

#[test]
fn a_volume_keeps_what_the_environment_said_first() {
    if skip_without_process("a_volume_keeps_what_the_environment_said_first") {
        return;
    }
    let mut host = Host::new();
    host.set("RABBITMQ_DEFAULT_USER", "first");
    host.set("RABBITMQ_DEFAULT_PASS", "one");
    host.start().stop();
    host.set("RABBITMQ_DEFAULT_USER", "second");
    host.set("RABBITMQ_DEFAULT_PASS", "two");
    let server = host.start();
    assert!(host.knows("first", "one") && !host.knows("second", "two"));
    // RabbitMQ says nothing, and people search for hours.
    assert!(server.output().contains("the default user second is not made"), "{}", server.output());
    server.stop();
}

#[test]
fn a_small_container_is_enough() {
    const CONTAINER_BYTES: u64 = 256 * 1024 * 1024;
    const IDLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
    if skip_without_process("a_small_container_is_enough") {
        return;
    }
    let host = Host::new();
    host.write("etc/rabbitmq.conf", &format!("total_memory_available_override_value = {CONTAINER_BYTES}\n"));
    let server = host.start();
    let node = host.get("/api/nodes", "guest:guest");
    let limit = node[0]["mem_limit"].as_u64().expect("a limit");
    assert!(limit < CONTAINER_BYTES, "the limit is {limit}");
    assert_eq!(node[0]["mem_alarm"], false);
    let used = leveret_tests::broker::resident_bytes(server.pid()).unwrap();
    assert!(used < IDLE_BYTES_MAX, "it uses {used} bytes for nothing");
    assert_eq!(http(host.management_port, "GET", "/api/health/checks/local-alarms", Some("guest:guest")).0, 200);
    server.stop();
}
