//! Definitions: files of many versions are understood, and what is exported comes back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use common::TestJournal;
use leveret_codec::table::FieldTable;
use leveret_engine::broker::Broker;
use leveret_engine::definitions::{DefinitionsFacts, Options, export, export_vhost, import};
use leveret_engine::effects::Effects;
use leveret_engine::names::ConnectionId;
use leveret_engine::permission::{Permissions, Rights};
use leveret_engine::policy::PolicyKind;
use leveret_engine::queue::arguments::QueueType;
use leveret_engine::user::{Account, User};
use leveret_engine::vhost::{BindingKey, BindingsOf, QueueDeclare};
use proptest::prelude::*;
use serde_json::{Value, json};

const FACTS: DefinitionsFacts<'_> =
    DefinitionsFacts { rabbitmq_version: "4.2.1", product_name: "Leveret", product_version: "0.1.0" };
const CLUSTER: Options<'_> = Options { vhost: None, actor: "importer" };

fn empty() -> Broker {
    Broker::with_services(common::services(&TestJournal::new(true), u64::MAX))
}

fn imported(definitions: &Value) -> (Broker, Vec<String>) {
    let broker = empty();
    let imported = import(&broker, definitions, CLUSTER).unwrap();
    (broker, imported.skipped)
}

fn refusal(definitions: &Value) -> String {
    import(&empty(), definitions, CLUSTER).unwrap_err().to_string()
}

/// As RabbitMQ 3.5 wrote it: no algorithms, tags in one text, no apply-to, mirrors.
#[test]
fn an_old_file() {
    let (broker, skipped) = imported(&json!({
        "rabbit_version": "3.5.7",
        "users": [{"name": "app", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "tags": "administrator, x"}],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": "app", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        "parameters": [],
        "policies": [{"vhost": "/", "name": "HA", "pattern": ".*", "definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}, "priority": 0}],
        "queues": [{"name": "jobs", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {"x-max-length": 10}}],
        "exchanges": [{"name": "amq.custom", "vhost": "/", "type": "topic"}, {"name": "events", "vhost": "/", "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": {}}],
        "bindings": [{"source": "events", "vhost": "/", "destination": "jobs", "destination_type": "queue", "routing_key": "job.#", "arguments": {}}],
    }));
    assert_eq!(
        skipped,
        ["Skipping import of an exchange whose name begins with 'amq.', name: amq.custom, acting user: importer"]
    );
    let user = broker.user("app").unwrap();
    assert_eq!(user.hashing_algorithm().as_str(), "rabbit_password_hashing_md5");
    assert_eq!(user.tags(), ["administrator", "x"]);
    let vhost = broker.vhost("/").unwrap();
    assert_eq!(vhost.queue("jobs").unwrap().settings.max_length, Some(10));
    assert_eq!(vhost.bindings(BindingsOf::Queue("jobs")).len(), 1);
    let policy = &vhost.policies(PolicyKind::User)[0];
    assert_eq!((policy.apply_to.as_str(), policy.definition.0.len()), ("all", 2));
}

/// As RabbitMQ 4 writes it.
#[test]
fn a_new_file() {
    let (broker, skipped) = imported(&json!({
        "rabbit_version": "4.1.2", "rabbitmq_version": "4.1.2", "product_name": "RabbitMQ",
        "rabbitmq_definition_format": "cluster", "original_cluster_name": "rabbit@a", "explanation": "x",
        "users": [
            {"name": "app", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
             "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["monitoring"], "limits": {"max-channels": 5}},
            {"name": "dev", "password": "plain", "tags": []},
            {"name": "cert", "tags": []},
        ],
        "vhosts": [
            {"name": "q", "description": "d", "tags": [], "default_queue_type": "quorum",
             "metadata": {"description": "d", "tags": ["t"], "default_queue_type": "quorum"}, "limits": []},
            {"name": "c", "metadata": {"description": "inner", "tags": ["t"], "default_queue_type": "undefined"}},
        ],
        "permissions": [{"user": "dev", "vhost": "q", "configure": "", "write": "", "read": ".*"}],
        "topic_permissions": [{"user": "dev", "vhost": "q", "exchange": "amq.topic", "write": "a", "read": "b"}],
        "parameters": [
            {"vhost": "q", "component": "operator_policy", "name": "op", "value": {"pattern": "", "definition": {"max-length": 9}, "priority": 1, "apply-to": "queues"}},
            {"vhost": "q", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 2}},
            {"vhost": "c", "component": "vhost-limits", "name": "limits", "value": []},
        ],
        "global_parameters": [{"name": "cluster_name", "value": "rabbit@a"}],
        "policies": [{"vhost": "q", "name": "p", "pattern": "^x", "apply-to": "streams", "definition": {"max-age": "1D"}, "priority": 3}],
        "queues": [
            {"name": "stays classic", "vhost": "q", "durable": true, "auto_delete": false, "type": "classic", "arguments": {}},
            {"name": "s", "vhost": "q", "durable": true, "auto_delete": false, "type": "stream", "arguments": {"x-queue-type": "stream"}},
        ],
        "exchanges": [], "bindings": [],
    }));
    assert!(skipped.is_empty());
    assert!(broker.authenticate("app", b"test12").is_ok() && broker.authenticate("dev", b"plain").is_ok());
    assert!(broker.user("cert").unwrap().password_hash().is_empty());
    assert_eq!(broker.user("app").unwrap().limits().channels_max, Some(5));
    let vhost = broker.vhost("q").unwrap();
    assert_eq!((vhost.default_queue_type(), vhost.limits().queues_max), (QueueType::Quorum, Some(2)));
    assert_eq!(vhost.queue("stays classic").unwrap().settings.queue_type, QueueType::Classic);
    assert!(vhost.queue("s").unwrap().is_stream());
    assert_eq!(&*vhost.policies(PolicyKind::Operator)[0].name, "op");
    let metadata = broker.vhost("c").unwrap().metadata();
    assert_eq!((&*metadata.description, metadata.default_queue_type), ("inner", None));
    assert_eq!((broker.cluster_name(), broker.topic_permissions().len()), ("rabbit@a".to_owned(), 1));
}

#[test]
fn what_is_there_is_left_alone_or_overwritten() {
    let (broker, _) = imported(&json!({
        "users": [{"name": "u", "password": "a", "tags": "x"}], "vhosts": [{"name": "/"}],
        "queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": 1}}],
        "policies": [{"vhost": "/", "name": "p", "pattern": "a", "definition": {"expires": 1}}],
    }));
    let again = json!({
        "users": [{"name": "u", "password": "b", "tags": "y"}],
        "queues": [{"name": "q", "vhost": "/", "durable": false, "arguments": {"x-max-length": 2}}],
        "policies": [{"vhost": "/", "name": "p", "pattern": "b", "definition": {"expires": 2}}],
    });
    import(&broker, &again, CLUSTER).unwrap();
    let vhost = broker.vhost("/").unwrap();
    assert_eq!(vhost.queue("q").unwrap().settings.max_length, Some(1));
    assert_eq!(vhost.policies(PolicyKind::User)[0].pattern(), "b");
    assert!(broker.authenticate("u", b"b").unwrap().has_tag("y"));
}

#[test]
fn refusals_have_rabbitmqs_texts() {
    assert_eq!(refusal(&json!([])), "failed_to_parse_json");
    assert_eq!(
        refusal(&json!({"queues": [{"name": "q"}]})),
        "Virtual host does not exist and is not specified in definitions file."
    );
    assert_eq!(
        refusal(&json!({"queues": [{"name": "q", "vhost": "v"}]})),
        "Please create virtual host \"v\" prior to importing definitions."
    );
    let vhosts = json!([{"name": "v"}]);
    let policy = json!([{"vhost": "v", "name": "p", "pattern": "", "definition": {"odd": 1}}]);
    assert_eq!(
        refusal(&json!({"vhosts": vhosts, "policies": policy})),
        "Validation failed\n\n[{<<\"odd\">>,1}] are not recognised policy settings\n (v/p)"
    );
    let parameter = json!([{"vhost": "v", "component": "odd", "name": "p", "value": {}}]);
    assert_eq!(
        refusal(&json!({"vhosts": vhosts, "parameters": parameter})),
        "Validation failed\n\ncomponent odd not found\n (v/odd/p)"
    );
    let queue = json!([{"vhost": "v", "name": "q", "arguments": {"x-expires": 0}}]);
    assert_eq!(
        refusal(&json!({"vhosts": vhosts, "queues": queue})),
        "precondition_failed: invalid arg 'x-expires' for queue 'q' in vhost 'v': {value_zero,0}"
    );
    let long = "x".repeat(256);
    let queue = json!([{"vhost": "v", "name": "q", "arguments": {long: 1}}]);
    assert_eq!(
        refusal(&json!({"vhosts": vhosts, "queues": queue})),
        "arguments of a queue: a key is longer than 255 bytes"
    );
    assert_eq!(refusal(&json!({"users": [{"name": "u", "password": "a"}]})), "tags_not_present");
    assert_eq!(refusal(&json!({"users": [{"name": "u", "password": "a", "tags": null}]})), "tags_not_present");
    let user = json!([{"name": "u", "password": "a", "password_hash": "b", "tags": ""}]);
    assert_eq!(refusal(&json!({"users": user})), "both_password_and_password_hash_are_provided");
    let limit = json!([{"name": "v", "limits": {"max-queues": 1}}]);
    let queues = json!([{"vhost": "v", "name": "a"}, {"vhost": "v", "name": "b"}]);
    assert_eq!(
        refusal(&json!({"vhosts": limit, "queues": queues})),
        "Adding 2 queue(s) to virtual host \"v\" would exceed the limit of 1 queue(s).\n\nThis virtual host currently has \
         0 queue(s) defined.\n\nImport aborted!"
    );
}

#[test]
fn a_vhost_goes_into_another() {
    let (broker, _) = imported(&json!({
        "vhosts": [{"name": "a", "description": "first"}, {"name": "b"}],
        "exchanges": [{"name": "x", "vhost": "a", "type": "direct"}],
        "queues": [{"name": "q", "vhost": "a"}],
        "bindings": [{"vhost": "a", "source": "x", "destination": "q", "destination_type": "queue", "routing_key": "k"},
                     {"vhost": "a", "source": "x", "destination": "gone", "destination_type": "queue", "routing_key": "k"}],
        "policies": [{"vhost": "a", "name": "p", "pattern": "", "definition": {"expires": 1}}],
    }));
    let vhost = broker.vhost("a").unwrap();
    let exported = export_vhost(&broker, &vhost, &FACTS);
    assert_eq!(exported["rabbitmq_definition_format"], "single_virtual_host");
    assert_eq!((&exported["original_vhost_name"], &exported["description"]), (&json!("a"), &json!("first")));
    assert!(exported.get("users").is_none() && exported["queues"][0].get("vhost").is_none());
    import(&broker, &exported, Options { vhost: Some("b"), actor: "importer" }).unwrap();
    let lists = |exported: Value| ["exchanges", "queues", "bindings", "policies"].map(|list| exported[list].clone());
    assert_eq!(lists(export_vhost(&broker, &broker.vhost("b").unwrap(), &FACTS)), lists(exported));
    let nowhere = import(&broker, &json!({}), Options { vhost: Some("c"), actor: "importer" });
    assert_eq!(nowhere.unwrap_err().to_string(), "Please create virtual host \"c\" prior to importing definitions.");
}

/// What a file of one vhost says of the vhost itself goes to the vhost that it is imported into; what it leaves out stays.
#[test]
fn a_vhost_takes_its_limits_and_metadata_along() {
    let (broker, _) = imported(&json!({
        "vhosts": [
            {"name": "a", "description": "first", "tags": ["x", "y"], "default_queue_type": "quorum",
             "limits": {"max-queues": 2}, "metadata": {"protected_from_deletion": true}},
            {"name": "b", "description": "second", "tags": ["z"], "limits": {"max-connections": 7}},
            {"name": "c", "description": "third", "default_queue_type": "stream"},
        ],
        "queues": [{"name": "q1", "vhost": "a"}, {"name": "q2", "vhost": "a"}],
    }));
    let vhost = |name: &str| broker.vhost(name).unwrap();
    vhost("b").set_tracing(true);
    let mut exported = export_vhost(&broker, &vhost("a"), &FACTS);
    // The limits are told of among the parameters, too, where they take the place of all that there were.
    exported["parameters"] = json!([]);
    let into =
        |definitions: &Value, vhost| import(&broker, definitions, Options { vhost: Some(vhost), actor: "importer" });
    into(&exported, "b").unwrap();
    let (a, b) = (vhost("a").metadata(), vhost("b").metadata());
    assert_eq!((&*b.description, &*b.tags, b.default_queue_type), ("first", &*a.tags, Some(QueueType::Quorum)));
    assert!(b.protected_from_deletion && b.tracing);
    let limits = vhost("b").limits();
    assert_eq!((limits.queues_max, limits.connections_max), (Some(2), Some(7)));
    // The limit holds for what the file brings.
    exported["queues"].as_array_mut().unwrap().push(json!({"name": "q3"}));
    let refused = into(&exported, "c").unwrap_err().to_string();
    assert!(refused.contains("would exceed the limit of 2 queue(s)"), "{refused}");
    // RabbitMQ 3 says nothing of the vhost.
    let before = vhost("b").metadata();
    into(&json!({"rabbit_version": "3.10.8", "queues": [{"name": "q1"}], "metadata": {}}), "b").unwrap();
    assert_eq!((vhost("b").metadata(), vhost("b").limits()), (before, limits));
    let undefined =
        json!({"metadata": {"description": "", "tags": [], "default_queue_type": "undefined"}, "limits": []});
    into(&undefined, "c").unwrap();
    let metadata = vhost("c").metadata();
    assert_eq!((&*metadata.description, metadata.default_queue_type), ("", Some(QueueType::Quorum)), "as it was");
}

/// Permissions may stand with a user, as in files of RabbitMQ before 2.4; they are for new users only.
#[test]
fn users_bring_permissions_of_their_own() {
    let user = json!([{"name": "u", "password": "p", "administrator": true,
                       "permissions": {"/": {"configure": "a", "write": "b", "read": "c"}}}]);
    let definitions = json!({"vhosts": [{"name": "/"}], "users": user});
    let (broker, _) = imported(&definitions);
    assert!(broker.user("u").unwrap().has_tag("administrator"));
    let permission = &broker.permissions()[0];
    assert_eq!((&*permission.user, &*permission.configure), ("u", "a"));
    broker.clear_permissions("u", "/", "admin").unwrap();
    import(&broker, &definitions, CLUSTER).unwrap();
    assert!(broker.permissions().is_empty(), "it is not new any more");
}

/// What no client could ever name or bind.
#[test]
fn what_is_too_long_is_left_out() {
    let (long, most) = ("x".repeat(256), "x".repeat(255));
    let (broker, skipped) = imported(&json!({
        "vhosts": [{"name": "v"}],
        "queues": [{"vhost": "v", "name": long}, {"vhost": "v", "name": most}],
        "exchanges": [{"vhost": "v", "name": long}, {"vhost": "v", "name": most}],
        "bindings": [{"vhost": "v", "source": most, "destination": most, "destination_type": "queue", "routing_key": long},
                     {"vhost": "v", "source": most, "destination": most, "destination_type": "queue", "routing_key": most}],
    }));
    let told = [
        format!("Not importing exchange '{long}': exchange should be less than 255 bytes, actually was 256"),
        format!("Not importing queue '{long}': queue should be less than 255 bytes, actually was 256"),
        format!(
            "Not importing a binding of '{most}' to '{most}': routing_key should be less than 255 bytes, actually was 256"
        ),
    ];
    assert_eq!(skipped, told);
    let vhost = broker.vhost("v").unwrap();
    assert_eq!((vhost.queues().len(), vhost.bindings(BindingsOf::Queue(&most)).len()), (1, 1));
}

/// Internal exchanges are exported (as RabbitMQ 3 did; later versions lose them), and bindings of the broker's own.
#[test]
fn exclusive_queues_are_not_exported_and_internal_exchanges_are() {
    let (broker, _) = imported(&json!({
        "vhosts": [{"name": "/"}],
        "exchanges": [{"name": "x", "vhost": "/", "type": "fanout", "internal": true}],
        "queues": [{"name": "q", "vhost": "/"}],
        "bindings": [
            {"vhost": "/", "source": "amq.rabbitmq.trace", "destination": "q", "destination_type": "queue", "routing_key": "#"},
            {"vhost": "/", "source": "amq.fanout", "destination": "x", "destination_type": "exchange", "routing_key": ""},
        ],
    }));
    let permissions = [("/".into(), Permissions::all())].into_iter().collect();
    let user = User::new("u", Account::default(), Rights { permissions, ..Rights::default() });
    let (vhost, arguments, connection) = (broker.vhost("/").unwrap(), &FieldTable::default(), ConnectionId(1));
    let (name, durable, exclusive, auto_delete, random) = ("mine", false, true, false, [0; 16]);
    let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments, random };
    vhost.declare_queue(&declare, &user, connection).unwrap();
    let key = BindingKey { source: "x", routing_key: b"", arguments, user: "u" };
    vhost.bind_queue(&key, "mine", connection, &mut Effects::default()).unwrap();
    let exported = export(&broker, &FACTS);
    let count = |list: &str| exported[list].as_array().unwrap().len();
    assert_eq!((count("queues"), count("exchanges"), count("bindings")), (1, 1, 2));
    assert_eq!(exported["exchanges"][0]["internal"], true);
}

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("[a-c~/é]{1,3}", 0..4).prop_map(|names| names.into_iter().collect())
}

/// Sound definitions.
fn definitions() -> impl Strategy<Value = Value> {
    let arguments = prop_oneof![
        Just(json!({})),
        (0..9i64).prop_map(|number| json!({"x-max-length": number, "x-unknown": [true, null, {"a": number}]})),
        Just(json!({"x-queue-type": "quorum", "x-dead-letter-exchange": "dlx"})),
    ];
    let vhost = (names(), names(), arguments, 0..3usize, any::<bool>(), "[a-z ]{0,5}", any::<u8>());
    (proptest::collection::vec(vhost, 1..3), names()).prop_map(|(vhosts, users)| {
        let mut parts: [Vec<Value>; 8] = Default::default();
        let [vhost_list, queues, exchanges, bindings, policies, parameters, permissions, user_list] = &mut parts;
        user_list.extend(users.iter().map(|name| json!({"name": name, "password": name, "tags": ["a", "b"]})));
        for (at, (queue_names, exchange_names, arguments, kind, flag, text, number)) in vhosts.into_iter().enumerate() {
            let vhost = format!("v{at}");
            let types = ["classic", "quorum"];
            vhost_list.push(json!({"name": vhost, "description": text, "tags": [text.trim()], "default_queue_type": types[kind % 2]}));
            for name in &queue_names {
                let queue_type = arguments["x-queue-type"].as_str().unwrap_or("classic");
                queues.push(json!({"name": name, "vhost": vhost, "durable": true, "auto_delete": flag && queue_type == "classic", "type": queue_type, "arguments": arguments}));
            }
            let kinds = ["topic", "headers", "fanout"];
            for name in &exchange_names {
                exchanges.push(json!({"name": name, "vhost": vhost, "type": kinds[kind], "durable": flag, "internal": flag, "arguments": {}}));
                for queue in &queue_names {
                    bindings.push(json!({"source": name, "vhost": vhost, "destination": queue, "destination_type": "queue", "routing_key": text, "arguments": {"n": number}}));
                }
                bindings.push(json!({"source": "amq.fanout", "vhost": vhost, "destination": name, "destination_type": "exchange", "routing_key": "", "arguments": {}}));
            }
            policies.push(json!({"vhost": vhost, "name": text.clone() + "p", "pattern": "^a", "apply-to": "queues", "definition": {"max-length": number, "overflow": "drop-head"}, "priority": number}));
            parameters.push(json!({"vhost": vhost, "component": "federation-upstream", "name": "u", "value": {"uri": text, "n": [number]}}));
            parameters.push(json!({"vhost": vhost, "component": "vhost-limits", "name": "limits", "value": {"max-connections": number}}));
            parameters.push(json!({"vhost": vhost, "component": "operator_policy", "name": "o", "value": {"pattern": text, "definition": {"expires": 1 + u32::from(number)}, "priority": 0, "apply-to": "all"}}));
            for user in &users {
                permissions.push(json!({"user": user, "vhost": vhost, "configure": "^a|b$", "write": "", "read": text}));
            }
        }
        let [vhosts, queues, exchanges, bindings, policies, parameters, permissions, users] = parts;
        json!({
            "vhosts": vhosts, "queues": queues, "exchanges": exchanges, "bindings": bindings, "policies": policies,
            "parameters": parameters, "permissions": permissions, "users": users,
            "global_parameters": [{"name": "g", "value": {"a": [1, 2.5, "x", null]}}],
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Export, import elsewhere, export: the same; and the same after a restart.
    #[test]
    fn what_is_exported_comes_back(definitions in definitions()) {
        let journal = TestJournal::new(true);
        let broker = Broker::with_services(common::services(&journal, u64::MAX));
        let skipped = import(&broker, &definitions, CLUSTER).unwrap().skipped;
        prop_assert_eq!(skipped, Vec::<String>::new());
        let exported = export(&broker, &FACTS);
        for list in ["vhosts", "queues", "exchanges", "bindings", "policies", "parameters", "permissions", "users"] {
            prop_assert_eq!(exported[list].as_array().unwrap().len(), definitions[list].as_array().unwrap().len(), "{}", list);
        }
        let (again, _) = imported(&exported);
        prop_assert_eq!(&export(&again, &FACTS), &exported);
        let (restarted, problems) = Broker::restore(common::services(&journal, u64::MAX), &journal.restart_broker());
        prop_assert_eq!(problems, Vec::<String>::new());
        let mut lasting = exported;
        lasting["exchanges"].as_array_mut().unwrap().retain(|exchange| exchange["durable"] == true);
        let is_there = |binding: &Value, field: &str, list: &Value| {
            let is_it = |item: &Value| item["vhost"] == binding["vhost"] && item["name"] == binding[field];
            binding[field].as_str().unwrap().starts_with("amq.") || list.as_array().unwrap().iter().any(is_it)
        };
        let exchanges = lasting["exchanges"].clone();
        lasting["bindings"].as_array_mut().unwrap().retain(|binding| {
            is_there(binding, "source", &exchanges)
                && (binding["destination_type"] == "queue" || is_there(binding, "destination", &exchanges))
        });
        prop_assert_eq!(export(&restarted, &FACTS), lasting);
    }

    /// Whatever it is, it is refused or imported.
    #[test]
    fn anything_may_be_tried(definitions in anything()) {
        let broker = Broker::with_guest(common::services(&TestJournal::new(true), u64::MAX));
        let _ = import(&broker, &definitions, CLUSTER);
        let _ = import(&broker, &definitions, Options { vhost: Some("/"), actor: "importer" });
        let exported = export(&broker, &FACTS);
        prop_assert!(exported.is_object());
    }
}

/// JSON in the shape of definitions, with anything in its fields.
fn anything() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[/a(*]{0,4}".prop_map(Value::from),
        Just(json!("/")),
        Just(json!("guest")),
        Just(json!([])),
        Just(json!({"a": 1})),
        Just(json!({"/": {"configure": "(", "write": 1}})),
        Just(json!({"max-length": 1})),
        Just(json!({"x-queue-type": "odd"})),
    ];
    let field = prop_oneof![
        Just("name"),
        Just("vhost"),
        Just("tags"),
        Just("password"),
        Just("password_hash"),
        Just("limits"),
        Just("metadata"),
        Just("user"),
        Just("configure"),
        Just("write"),
        Just("read"),
        Just("component"),
        Just("value"),
        Just("pattern"),
        Just("definition"),
        Just("priority"),
        Just("apply-to"),
        Just("arguments"),
        Just("type"),
        Just("durable"),
        Just("source"),
        Just("destination"),
        Just("routing_key"),
        Just("permissions"),
        Just("exchange"),
        Just("hashing_algorithm"),
        Just("default_queue_type"),
    ];
    let item = proptest::collection::btree_map(field.prop_map(str::to_owned), odd.clone(), 0..12)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()));
    let list = prop_oneof![4 => proptest::collection::vec(prop_oneof![6 => item, 1 => odd.clone()], 0..3).prop_map(Value::from), 1 => odd];
    let name = prop_oneof![
        Just("users"),
        Just("vhosts"),
        Just("permissions"),
        Just("topic_permissions"),
        Just("parameters"),
        Just("global_parameters"),
        Just("policies"),
        Just("queues"),
        Just("exchanges"),
        Just("bindings"),
        Just("rabbit_version"),
    ];
    proptest::collection::btree_map(name.prop_map(str::to_owned), list, 0..5)
        .prop_map(|lists| Value::Object(lists.into_iter().collect()))
}
