//! Files of definitions as several versions of RabbitMQ write them, and as people write them by hand.

use leveret_tests::broker::skip_without_process;

use crate::host::{Host, text};

/// Who writes a file like that, the file, and a user with a password that it brings.
const FILES: [(&str, &str, &str); 5] = [
    (
        "3.6: tags are a text, no product, no topic permissions",
        r#"{"rabbit_version":"3.6.16","users":[{"name":"u","password_hash":"HASH","hashing_algorithm":"rabbit_password_hashing_sha256","tags":"administrator"}],
            "vhosts":[{"name":"/"}],"permissions":[{"user":"u","vhost":"/","configure":".*","write":".*","read":".*"}],
            "parameters":[],"policies":[],"queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}],
            "exchanges":[],"bindings":[]}"#,
        "test12",
    ),
    (
        "3.8: global parameters, limits of users",
        r#"{"rabbit_version":"3.8.9","rabbitmq_version":"3.8.9","users":[{"name":"u","password_hash":"HASH","hashing_algorithm":"rabbit_password_hashing_sha256","tags":"administrator","limits":{}}],
            "vhosts":[{"name":"/"}],"permissions":[{"user":"u","vhost":"/","configure":".*","write":".*","read":".*"}],
            "topic_permissions":[],"parameters":[{"value":{"max-queues":100},"vhost":"/","component":"vhost-limits","name":"limits"}],
            "global_parameters":[{"name":"internal_cluster_id","value":"rabbitmq-cluster-id-x"}],"policies":[],
            "queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{"x-queue-type":"quorum"}}],
            "exchanges":[],"bindings":[{"source":"amq.topic","vhost":"/","destination":"q","destination_type":"queue","routing_key":"a.#","arguments":{}}]}"#,
        "test12",
    ),
    (
        "3.13: tags are a list, virtual hosts have metadata",
        r#"{"rabbit_version":"3.13.7","rabbitmq_version":"3.13.7","product_name":"RabbitMQ","product_version":"3.13.7",
            "users":[{"name":"u","password_hash":"HASH","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"],"limits":{}}],
            "vhosts":[{"name":"/","description":"Default virtual host","tags":[],"metadata":{"description":"Default virtual host","tags":[]}}],
            "permissions":[{"user":"u","vhost":"/","configure":".*","write":".*","read":".*"}],"topic_permissions":[{"user":"u","vhost":"/","exchange":"amq.topic","write":"^a","read":".*"}],
            "parameters":[],"global_parameters":[],"policies":[{"vhost":"/","name":"p","pattern":"^q","apply-to":"queues","definition":{"max-length":10},"priority":0}],
            "queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}],"exchanges":[],"bindings":[]}"#,
        "test12",
    ),
    (
        "4.x: an origin, the metadata's default queue type",
        r#"{"rabbit_version":"4.1.2","rabbitmq_version":"4.1.2","product_name":"RabbitMQ","product_version":"4.1.2","rabbitmq_definition_format":"cluster",
            "original_cluster_name":"rabbit@here","explanation":"Definitions of cluster 'rabbit@here'",
            "users":[{"name":"u","password_hash":"HASH","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"],"limits":{}}],
            "vhosts":[{"name":"/","description":"","metadata":{"description":"","tags":[],"default_queue_type":"quorum"},"tags":[],"default_queue_type":"quorum"}],
            "permissions":[{"user":"u","vhost":"/","configure":".*","write":".*","read":".*"}],"topic_permissions":[],"parameters":[],
            "global_parameters":[{"name":"cluster_tags","value":[]}],"policies":[],
            "queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{"x-queue-type":"classic"}}],"exchanges":[],"bindings":[]}"#,
        "test12",
    ),
    (
        "by hand: a plain password, no virtual hosts, no arguments",
        r#"{"users":[{"name":"u","password":"plain","tags":"administrator"}],"vhosts":[{"name":"/"}],
            "permissions":[{"user":"u","vhost":"/","configure":".*","write":".*","read":".*"}],
            "queues":[{"name":"q","vhost":"/","durable":true}],"exchanges":[{"name":"x","vhost":"/","type":"direct","durable":true}],
            "bindings":[{"source":"x","vhost":"/","destination":"q","destination_type":"queue","routing_key":"k"}]}"#,
        "plain",
    ),
];
/// RabbitMQ's salted SHA-256 of `test12`, whose salt is in RabbitMQ's own documentation.
const HASH: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

#[test]
fn files_of_every_version_are_loaded_at_the_start() {
    if skip_without_process("files_of_every_version_are_loaded_at_the_start") {
        return;
    }
    for (kind, file, password) in FILES {
        let host = Host::new();
        host.write("etc/definitions.json", &file.replace("HASH", HASH));
        host.write("etc/rabbitmq.conf", &format!("load_definitions = {}\n", host.shown("etc/definitions.json")));
        let server = host.start();
        assert!(host.knows("u", password), "{kind}");
        assert!(!host.knows("guest", "guest"), "{kind}: a user that the file does not bring");
        assert_eq!(host.get("/api/queues/%2F/q", &format!("u:{password}"))["durable"], true, "{kind}");
        server.stop();
    }
}

#[test]
fn files_are_imported_by_the_command_and_exported_again() {
    if skip_without_process("files_are_imported_by_the_command_and_exported_again") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    for (kind, file, password) in FILES {
        host.write("definitions.json", &file.replace("HASH", HASH));
        let imported = host.run(&["rabbitmqctl", "import_definitions", "definitions.json"]);
        assert!(imported.status.success(), "{kind}: {}", text(&imported));
        assert!(host.knows("u", password), "{kind}");
        let exported = host.shell("rabbitmqctl export_definitions - | grep -v '^Exporting'");
        let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
        let exported: serde_json::Value =
            serde_json::from_str(&exported).unwrap_or_else(|error| panic!("{error}: {exported}"));
        let users = exported["users"].as_array().expect("users");
        let user = users.iter().find(|user| user["name"] == "u").expect("the user");
        assert_eq!(user["tags"], serde_json::json!(["administrator"]), "{kind}");
        let gone = host.shell("rabbitmqctl delete_user u && rabbitmqctl delete_queue q");
        assert!(gone.status.success(), "{kind}: {}", text(&gone));
    }
    let piped = host.shell("cat definitions.json | rabbitmqctl import_definitions -");
    assert!(piped.status.success() || host.shell("rabbitmqctl import_definitions < definitions.json").status.success());
    server.stop();
}

#[test]
fn a_folder_of_definitions_is_loaded() {
    if skip_without_process("a_folder_of_definitions_is_loaded") {
        return;
    }
    let host = Host::new();
    std::fs::create_dir_all(host.path("etc/definitions")).unwrap();
    host.write("etc/definitions/10-users.json", &FILES[2].1.replace("HASH", HASH));
    let more = r#"{"queues":[{"name":"more","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}]}"#;
    host.write("etc/definitions/20-more.json", more);
    let configuration = format!(
        "definitions.import_backend = local_filesystem\ndefinitions.local.path = {}\n",
        host.shown("etc/definitions")
    );
    host.write("etc/rabbitmq.conf", &configuration);
    let server = host.start();
    for name in ["q", "more"] {
        assert_eq!(host.get(&format!("/api/queues/%2F/{name}"), "u:test12")["name"], name);
    }
    server.stop();
}

#[test]
fn definitions_that_cannot_be_used_stop_the_start() {
    if skip_without_process("definitions_that_cannot_be_used_stop_the_start") {
        return;
    }
    let host = Host::new();
    host.write("etc/definitions.json", "{\"users\": [");
    host.write("etc/rabbitmq.conf", &format!("load_definitions = {}\n", host.shown("etc/definitions.json")));
    let mut server = host.spawn(&["rabbitmq-server"]);
    assert_ne!(server.wait(), Some(0), "{}", server.output());
    assert!(server.output().contains("definitions.json"), "{}", server.output());
}
