//! What can be declared, deleted and listed, and how the API takes it.

/// A thing of the API that can be declared or deleted.
pub(super) struct Object {
    pub(super) name: &'static str,
    /// Its path: names of fields in braces.
    pub(super) path: &'static str,
    /// Where it is deleted, if that is elsewhere.
    pub(super) delete_path: Option<&'static str>,
    /// Fields that must be there to declare it; of several in one entry, one.
    pub(super) needs: &'static [&'static str],
    /// Fields that may be there, with what they are if they are not.
    pub(super) takes: &'static [(&'static str, Option<&'static str>)],
    /// Fields that are JSON.
    pub(super) json: &'static [&'static str],
    /// Fields that must be there to delete it.
    pub(super) delete_needs: &'static [&'static str],
}

const ARGUMENTS: (&str, Option<&str>) = ("arguments", Some("{}"));
const NAME: &[&str] = &["name"];
const POLICY: &[&str] = &["name", "pattern", "definition"];
const POLICY_TAKES: &[(&str, Option<&str>)] = &[("priority", Some("0")), ("apply-to", None)];
const POLICY_JSON: &[&str] = &["definition", "priority"];

/// All of them.
pub(super) const OBJECTS: &[Object] = &[
    Object {
        name: "exchange",
        path: "exchanges/{vhost}/{name}",
        delete_path: None,
        needs: &["name", "type"],
        takes: &[("auto_delete", Some("false")), ("durable", Some("true")), ("internal", Some("false")), ARGUMENTS],
        json: &["arguments"],
        delete_needs: NAME,
    },
    Object {
        name: "queue",
        path: "queues/{vhost}/{name}",
        delete_path: None,
        needs: NAME,
        takes: &[
            ("auto_delete", Some("false")),
            ("durable", Some("true")),
            ARGUMENTS,
            ("node", None),
            ("queue_type", None),
        ],
        json: &["arguments"],
        delete_needs: NAME,
    },
    Object {
        name: "binding",
        path: "bindings/{vhost}/e/{source}/{destination_char}/{destination}",
        delete_path: Some("bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}"),
        needs: &["source", "destination"],
        takes: &[("destination_type", Some("queue")), ("routing_key", Some("")), ARGUMENTS],
        json: &["arguments"],
        delete_needs: &["source", "destination_type", "destination"],
    },
    Object {
        name: "vhost",
        path: "vhosts/{name}",
        delete_path: None,
        needs: NAME,
        takes: &[("tracing", None), ("description", None), ("tags", None), ("default_queue_type", None)],
        json: &[],
        delete_needs: NAME,
    },
    Object {
        name: "user",
        path: "users/{name}",
        delete_path: None,
        needs: &["name", "password|password_hash", "tags"],
        takes: &[("hashing_algorithm", None)],
        json: &[],
        delete_needs: NAME,
    },
    Object {
        name: "permission",
        path: "permissions/{vhost}/{user}",
        delete_path: None,
        needs: &["vhost", "user", "configure", "write", "read"],
        takes: &[],
        json: &[],
        delete_needs: &["vhost", "user"],
    },
    Object {
        name: "parameter",
        path: "parameters/{component}/{vhost}/{name}",
        delete_path: None,
        needs: &["component", "name", "value"],
        takes: &[],
        json: &["value"],
        delete_needs: &["component", "name"],
    },
    Object {
        name: "global_parameter",
        path: "global-parameters/{name}",
        delete_path: None,
        needs: &["name", "value"],
        takes: &[],
        json: &["value"],
        delete_needs: NAME,
    },
    Object {
        name: "policy",
        path: "policies/{vhost}/{name}",
        delete_path: None,
        needs: POLICY,
        takes: POLICY_TAKES,
        json: POLICY_JSON,
        delete_needs: NAME,
    },
    Object {
        name: "operator_policy",
        path: "operator-policies/{vhost}/{name}",
        delete_path: None,
        needs: POLICY,
        takes: POLICY_TAKES,
        json: POLICY_JSON,
        delete_needs: NAME,
    },
    Object {
        name: "vhost_limit",
        path: "vhost-limits/{vhost}/{name}",
        delete_path: None,
        needs: &["vhost", "name", "value"],
        takes: &[],
        json: &["value"],
        delete_needs: &["vhost", "name"],
    },
    Object {
        name: "user_limit",
        path: "user-limits/{user}/{name}",
        delete_path: None,
        needs: &["user", "name", "value"],
        takes: &[],
        json: &["value"],
        delete_needs: &["user", "name"],
    },
    Object {
        name: "shovel",
        path: "parameters/shovel/{vhost}/{name}",
        delete_path: None,
        needs: &["name", "value"],
        takes: &[],
        json: &["value"],
        delete_needs: NAME,
    },
];

/// The object of this name.
pub(super) fn object(name: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.name == name)
}

/// Something that can be listed.
pub(super) struct List {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// Whether it can be limited to a vhost.
    pub(super) is_of_vhost: bool,
    /// Columns that the first tool shows if none are named.
    pub(super) first: &'static [&'static str],
    /// Columns of the second.
    pub(super) second: &'static [&'static str],
    /// Members that are shown as JSON.
    pub(super) json: &'static [&'static str],
}

const fn list(
    name: &'static str,
    path: &'static str,
    is_of_vhost: bool,
    first: &'static [&'static str],
    second: &'static [&'static str],
) -> List {
    List { name, path, is_of_vhost, first, second, json: &[] }
}

const POLICY_COLUMNS: &[&str] = &["name", "vhost", "pattern", "apply-to", "priority", "definition"];

/// All of them.
pub(super) const LISTS: &[List] = &[
    list(
        "connections",
        "connections",
        false,
        &["name", "user", "channels"],
        &["name", "node", "state", "protocol", "user", "connected_at", "vhost", "channels"],
    ),
    list(
        "channels",
        "channels",
        false,
        &["name", "user"],
        &[
            "number",
            "name",
            "connection_details.name",
            "vhost",
            "state",
            "consumer_count",
            "prefetch_count",
            "messages_unacknowledged",
        ],
    ),
    list(
        "consumers",
        "consumers",
        true,
        &[],
        &[
            "consumer_tag",
            "active",
            "ack_required",
            "prefetch_count",
            "exclusive",
            "arguments",
            "queue.name",
            "queue.vhost",
        ],
    ),
    list(
        "exchanges",
        "exchanges",
        true,
        &["name", "type"],
        &["name", "vhost", "type", "durable", "auto_delete", "arguments"],
    ),
    list(
        "queues",
        "queues",
        true,
        &["name", "messages"],
        &[
            "name",
            "vhost",
            "type",
            "durable",
            "auto_delete",
            "exclusive",
            "arguments",
            "node",
            "state",
            "messages",
            "messages_ready",
            "messages_unacknowledged",
            "consumers",
        ],
    ),
    list(
        "bindings",
        "bindings",
        true,
        &["source", "destination", "routing_key"],
        &["vhost", "source", "destination", "destination_type", "routing_key", "arguments", "properties_key"],
    ),
    list("users", "users", false, &[], &["name", "tags", "password_hash"]),
    list("vhosts", "vhosts", false, &["name", "messages"], &["name", "tags", "description", "default_queue_type"]),
    list("permissions", "permissions", false, &[], &["user", "vhost", "configure", "read", "write"]),
    list(
        "nodes",
        "nodes",
        false,
        &["name", "type", "mem_used"],
        &["name", "os_pid", "fd_total", "uptime", "running", "rates_mode"],
    ),
    List {
        name: "parameters",
        path: "parameters",
        is_of_vhost: false,
        first: &[],
        second: &["name", "vhost", "component", "value"],
        json: &["value"],
    },
    List {
        name: "global_parameters",
        path: "global-parameters",
        is_of_vhost: false,
        first: &[],
        second: &["name", "value"],
        json: &["value"],
    },
    List {
        name: "policies",
        path: "policies",
        is_of_vhost: false,
        first: &[],
        second: POLICY_COLUMNS,
        json: &["definition"],
    },
    List {
        name: "operator_policies",
        path: "operator-policies",
        is_of_vhost: false,
        first: &[],
        second: POLICY_COLUMNS,
        json: &["definition"],
    },
    List {
        name: "vhost_limits",
        path: "vhost-limits",
        is_of_vhost: false,
        first: &[],
        second: &["vhost", "value"],
        json: &["value"],
    },
    List {
        name: "user_limits",
        path: "user-limits",
        is_of_vhost: false,
        first: &[],
        second: &["user", "value"],
        json: &["value"],
    },
    list("feature_flags", "feature-flags", false, &[], &["name", "desc", "state", "stability"]),
    list("deprecated_features", "deprecated-features", false, &[], &["name", "desc", "deprecation_phase"]),
    list("deprecated_features_in_use", "deprecated-features/used", false, &[], &["name", "desc", "deprecation_phase"]),
    list("shovels", "shovels", false, &[], &["name", "vhost", "type", "state"]),
];

/// The list of this name.
pub(super) fn listing(name: &str) -> Option<&'static List> {
    LISTS.iter().find(|list| list.name == name)
}
