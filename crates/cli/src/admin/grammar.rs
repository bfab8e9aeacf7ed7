//! What a command line of `rabbitmqadmin` asks for, in either grammar.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Generation;
use super::objects::{List, Object, listing, object};
use super::options::Options;
use crate::failure::{Failure, Kind};

/// Fields by their names in the API.
pub(super) type Fields = BTreeMap<String, Value>;

/// Names and values as they were given.
type Pairs = Vec<(String, String)>;

/// What is asked for.
pub(super) struct Action {
    pub(super) generation: Generation,
    pub(super) verb: Verb,
    pub(super) fields: Fields,
    /// Whether it is as good if the thing is not there.
    pub(super) is_idempotent: bool,
}

/// What is to be done.
pub(super) enum Verb {
    Declare(&'static Object),
    Delete(&'static Object),
    /// A list with these columns, or the usual ones.
    List(&'static List, Vec<String>),
    /// What the broker says of itself.
    Overview(Vec<String>),
    /// One queue or stream.
    ShowQueue,
    Publish,
    Get,
    Purge,
    CloseConnection,
    CloseUserConnections,
    UserConnections,
    Export,
    Import,
    HealthCheck(&'static str),
    EnableFeatureFlag,
    HashPassword,
    Rebalance,
    /// Keeps a vhost from being deleted, or no longer.
    Protect(bool),
    MemoryBreakdown {
        is_relative: bool,
    },
}

/// Takes the command apart.
pub(super) fn parse(words: &[String], options: &Options) -> Result<Action, Failure> {
    if words.is_empty() {
        return Err(first_usage("Action not specified"));
    }
    let (named, plain) = split(words)?;
    let is_second = !named.is_empty() || options.is_plain || is_second(&plain);
    let generation = if is_second { Generation::Second } else { Generation::First };
    match generation {
        Generation::First => first(&plain, options),
        Generation::Second => second(&plain, named, options),
    }
}

/// A mistake, as the first tool tells it.
fn first_usage(text: &str) -> Failure {
    Failure::new(Kind::Failed, format!("\nERROR: {text}\n\nrabbitmqadmin --help for help\n"))
}

/// A mistake, as the second tool tells it.
fn second_usage(text: &str) -> Failure {
    Failure::new(Kind::Grammar, format!("error: {text}\n\nFor more information, try '--help'."))
}

/// Options of the command that have no value.
const FLAGS: [&str; 7] =
    ["idempotently", "stdout", "stdin", "approve", "dry-run", "predeclared-source", "predeclared-destination"];
/// Short options of the second tool's commands for messages.
const SHORTS: [(&str, &str); 8] = [
    ("-k", "routing-key"),
    ("-e", "exchange"),
    ("-m", "payload"),
    ("-p", "properties"),
    ("-q", "queue"),
    ("-c", "count"),
    ("-a", "ack-mode"),
    ("-f", "payload-file"),
];

/// Options of the command with their values, and words without.
fn split(words: &[String]) -> Result<(Pairs, Vec<String>), Failure> {
    let (mut named, mut plain) = (Vec::new(), Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let long =
            word.strip_prefix("--").or_else(|| SHORTS.iter().find(|(short, _)| short == word).map(|(_, long)| *long));
        let Some(long) = long.filter(|_| word.len() > 1) else {
            plain.push(word.clone());
            continue;
        };
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None if FLAGS.contains(&long) => (long, Some("true".to_owned())),
            None => (long, rest.next().cloned()),
        };
        let value =
            value.ok_or_else(|| second_usage(&format!("a value is required for '{word}' but none was supplied")))?;
        named.push((name.replace('-', "_"), value));
    }
    Ok((named, plain))
}

/// Groups that only the second tool has: it puts the thing before the verb.
fn is_second(words: &[String]) -> bool {
    let first = words.first().map(|word| word.replace('-', "_")).unwrap_or_default();
    let second = words.get(1).map(|word| word.replace('-', "_")).unwrap_or_default();
    let is_group = listing(&first).is_some()
        || matches!(first.as_str(), "streams" | "definitions" | "health_check" | "passwords" | "rebalance");
    is_group
        || (first == "show" && second != "overview")
        || (first == "list" && listing(&second).is_some() && SECOND_LISTS.contains(&second.as_str()))
}

/// Lists that the first tool does not know.
const SECOND_LISTS: [&str; 6] = [
    "global_parameters",
    "user_limits",
    "feature_flags",
    "deprecated_features",
    "deprecated_features_in_use",
    "shovels",
];

fn first(words: &[String], options: &Options) -> Result<Action, Failure> {
    let done = |verb, fields| Action { generation: Generation::First, verb, fields, is_idempotent: false };
    let (word, rest) = words.split_first().ok_or_else(|| first_usage("Action not specified"))?;
    let kind = rest.first().map(String::as_str);
    let after = rest.get(1..).unwrap_or_default();
    Ok(match word.as_str() {
        "list" => {
            let kind = kind.ok_or_else(|| first_usage("Type not specified"))?;
            let list = listing(kind).ok_or_else(|| first_usage(&format!("Don't know how to list {kind}")))?;
            done(Verb::List(list, after.to_vec()), Fields::new())
        }
        "show" => done(Verb::Overview(after.to_vec()), Fields::new()),
        "declare" | "delete" => {
            let kind = kind.ok_or_else(|| first_usage("Type not specified"))?;
            let object = object(kind).ok_or_else(|| first_usage(&format!("Type {kind} not recognised")))?;
            let is_declared = word == "declare";
            let fields = object_fields(object, is_declared, pairs(after)?, options)?;
            done(if is_declared { Verb::Declare(object) } else { Verb::Delete(object) }, fields)
        }
        "publish" => done(
            Verb::Publish,
            known(pairs(rest)?, &["routing_key"], &["payload", "properties", "exchange", "payload_encoding"])?,
        ),
        "get" => done(
            Verb::Get,
            known(pairs(rest)?, &["queue"], &["count", "ackmode", "payload_file", "encoding", "truncate"])?,
        ),
        "purge" if kind == Some("queue") => done(Verb::Purge, known(pairs(after)?, &["name"], &[])?),
        "close" if kind == Some("connection") => done(Verb::CloseConnection, known(pairs(after)?, &["name"], &[])?),
        "purge" | "close" => return Err(first_usage(&format!("Type {} not recognised", kind.unwrap_or_default()))),
        "export" | "import" => {
            let [file] = rest else { return Err(first_usage("Exactly one argument required")) };
            let verb = if word == "export" { Verb::Export } else { Verb::Import };
            done(verb, Fields::from([("file".to_owned(), json!(file))]))
        }
        other => return Err(first_usage(&format!("Action {other} not understood"))),
    })
}

fn pairs(words: &[String]) -> Result<Pairs, Failure> {
    let pair = |word: &String| {
        let pair = word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| first_usage(&format!("Argument \"{word}\" not in the name=value format")))
    };
    words.iter().map(pair).collect()
}

/// Fields of which some must be there and no others but some more may.
fn known(pairs: Pairs, needs: &[&str], takes: &[&str]) -> Result<Fields, Failure> {
    for (name, _) in &pairs {
        if !needs.contains(&name.as_str()) && !takes.contains(&name.as_str()) {
            return Err(first_usage(&format!("Argument \"{name}\" is not recognised")));
        }
    }
    let fields: Fields = pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    match needs.iter().find(|name| !fields.contains_key(**name)) {
        Some(missing) => Err(first_usage(&format!("mandatory argument \"{missing}\" is required"))),
        None => Ok(fields),
    }
}

/// The fields of an object, checked, with what is left out filled in.
fn object_fields(object: &Object, is_declared: bool, pairs: Pairs, options: &Options) -> Result<Fields, Failure> {
    let needs = if is_declared { object.needs } else { object.delete_needs };
    let mut fields = Fields::new();
    if is_declared {
        for (name, value) in object.takes {
            if let Some(value) = value {
                fields.insert((*name).to_owned(), typed(object, name, value)?);
            }
        }
    } else if object.name == "binding" {
        fields.insert("properties_key".to_owned(), json!("~"));
    }
    for (name, value) in pairs {
        let is_known = needs.iter().flat_map(|need| need.split('|')).any(|need| need == name)
            || object.takes.iter().any(|(take, _)| *take == name)
            || fields.contains_key(&name);
        if !is_known {
            return Err(first_usage(&format!("Argument \"{name}\" is not recognised")));
        }
        let value = typed(object, &name, &value)?;
        fields.insert(name, value);
    }
    if let Some(missing) = needs.iter().find(|need| !need.split('|').any(|need| fields.contains_key(need))) {
        return Err(first_usage(&format!("mandatory argument \"{missing}\" is required")));
    }
    finish(&mut fields, options);
    Ok(fields)
}

/// A field's value with the type that the API wants.
fn typed(object: &Object, name: &str, value: &str) -> Result<Value, Failure> {
    if object.json.contains(&name) {
        let parsed = serde_json::from_str(value);
        return parsed
            .map_err(|_not_json| Failure::new(Kind::Failed, format!("ERROR: Could not parse JSON:\n  {value}")));
    }
    Ok(match (name, value) {
        ("durable" | "auto_delete" | "internal" | "tracing", "true" | "false") => json!(value == "true"),
        _ => json!(value),
    })
}

/// What depends on other fields and on the options.
fn finish(fields: &mut Fields, options: &Options) {
    if let Some(queue_type) = fields.remove("queue_type")
        && let Some(arguments) = fields.entry("arguments".to_owned()).or_insert_with(|| json!({})).as_object_mut()
    {
        arguments.insert("x-queue-type".to_owned(), queue_type);
    }
    if let Some(first) = fields.get("destination_type").and_then(Value::as_str).and_then(|kind| kind.chars().next()) {
        fields.insert("destination_char".to_owned(), json!(first.to_string()));
    }
    let vhost = options.vhost.as_ref().or(options.declare_vhost.as_ref()).map_or("/", String::as_str);
    fields.entry("vhost".to_owned()).or_insert_with(|| json!(vhost));
}

fn second(given: &[String], named: Pairs, options: &Options) -> Result<Action, Failure> {
    let words: Vec<String> = given.iter().map(|word| word.replace('-', "_")).collect();
    let [first, rest @ ..] = words.as_slice() else { return Err(second_usage("a subcommand is required")) };
    let kind = rest.first().map(String::as_str).unwrap_or_default();
    // `queues declare` is `declare queue`.
    let (verb, thing) = match singular(first) {
        Some(thing) => (kind, thing),
        None => (first.as_str(), kind),
    };
    let is_idempotent = named.iter().any(|(name, _)| name == "idempotently");
    let named: Pairs = named.into_iter().filter(|(name, _)| name != "idempotently").collect();
    let done = |verb, fields| Ok(Action { generation: Generation::Second, verb, fields, is_idempotent });
    let texts = |named: Pairs| named.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<Fields>();
    let unknown = || second_usage(&format!("unrecognized subcommand '{}'", if kind.is_empty() { first } else { kind }));
    match (verb, thing) {
        ("list" | "list_all" | "list_in", _) if listing_of(thing).is_some() => match listing_of(thing) {
            Some(list) => done(Verb::List(list, Vec::new()), texts(named)),
            None => Err(unknown()),
        },
        ("list", "user_connections") | ("list_of_user" | "connections", _) => done(Verb::UserConnections, texts(named)),
        ("list_used", "deprecated_feature") => list_named("deprecated_features_in_use", texts(named)),
        ("permissions" | "limits", "user") => {
            list_named(if verb == "limits" { "user_limits" } else { "permissions" }, texts(named))
        }
        ("declare" | "set" | "update" | "bind", _) => declare(thing, named, options, is_idempotent, true),
        ("delete" | "clear" | "unbind", _) => declare(thing, named, options, is_idempotent, false),
        ("show", "overview" | "churn" | "endpoint") => done(Verb::Overview(Vec::new()), Fields::new()),
        ("show", "queue" | "stream") => done(Verb::ShowQueue, texts(named)),
        ("show" | "memory_breakdown_in_bytes" | "memory_breakdown_in_percent", _) => {
            let is_relative = verb.ends_with("percent") || thing.ends_with("percent");
            done(Verb::MemoryBreakdown { is_relative }, texts(named))
        }
        ("publish", "message") => done(Verb::Publish, texts(named)),
        ("get", "messages") => done(Verb::Get, texts(renamed(named, "ack_mode", "ackmode"))),
        ("purge", _) => done(Verb::Purge, texts(named)),
        ("close", "connection") => done(Verb::CloseConnection, texts(named)),
        ("close", "user_connections") | ("close_of_user", _) => done(Verb::CloseUserConnections, texts(named)),
        ("export" | "export_from_vhost", _) => done(Verb::Export, vhost_of(verb, texts(named), options)),
        ("import" | "import_into_vhost", _) => done(Verb::Import, vhost_of(verb, texts(named), options)),
        ("health_check", check) => match health_check(check) {
            Some(path) => done(Verb::HealthCheck(path), texts(named)),
            None => Err(unknown()),
        },
        ("enable", "feature_flag") => done(Verb::EnableFeatureFlag, texts(named)),
        ("enable_all", "feature_flag") => {
            done(Verb::EnableFeatureFlag, Fields::from([("name".to_owned(), json!("all"))]))
        }
        ("salt_and_hash", _) | ("passwords", "salt_and_hash") => {
            let password = given.get(if verb == "passwords" { 2 } else { 1 });
            let password = password.ok_or_else(|| second_usage("a password is required but none was supplied"))?;
            done(Verb::HashPassword, Fields::from([("password".to_owned(), json!(password))]))
        }
        ("rebalance", _) => done(Verb::Rebalance, Fields::new()),
        ("enable_deletion_protection", "vhost") => done(Verb::Protect(true), texts(named)),
        ("disable_deletion_protection", "vhost") => done(Verb::Protect(false), texts(named)),
        _ => Err(unknown()),
    }
}

fn list_named(name: &str, fields: Fields) -> Result<Action, Failure> {
    let list = listing(name).ok_or_else(|| second_usage(&format!("unrecognized subcommand '{name}'")))?;
    Ok(Action { generation: Generation::Second, verb: Verb::List(list, Vec::new()), fields, is_idempotent: false })
}

/// The thing that a group is about.
fn singular(group: &str) -> Option<&str> {
    Some(match group {
        "queues" => "queue",
        "streams" => "stream",
        "exchanges" => "exchange",
        "bindings" => "binding",
        "vhosts" => "vhost",
        "users" => "user",
        "permissions" => "permission",
        "policies" => "policy",
        "operator_policies" => "operator_policy",
        "parameters" => "parameter",
        "global_parameters" => "global_parameter",
        "vhost_limits" => "vhost_limit",
        "user_limits" => "user_limit",
        "connections" => "connection",
        "channels" => "channel",
        "consumers" => "consumer",
        "nodes" => "node",
        "feature_flags" => "feature_flag",
        "deprecated_features" => "deprecated_feature",
        "shovels" => "shovel",
        "definitions" => "definitions",
        _ => return None,
    })
}

/// The list of things of a name in the singular or the plural.
fn listing_of(thing: &str) -> Option<&'static List> {
    let plural = match thing {
        "policy" => "policies".to_owned(),
        "operator_policy" => "operator_policies".to_owned(),
        "stream" => "queues".to_owned(),
        other => format!("{other}s"),
    };
    listing(thing).or_else(|| listing(&plural))
}

fn renamed(named: Pairs, from: &str, to: &str) -> Pairs {
    named.into_iter().map(|(name, value)| (if name == from { to.to_owned() } else { name }, value)).collect()
}

fn vhost_of(verb: &str, mut fields: Fields, options: &Options) -> Fields {
    if verb.ends_with("vhost") {
        fields.insert("vhost".to_owned(), json!(options.vhost.as_deref().unwrap_or("/")));
    }
    fields
}

/// `declare` and `delete` with the second tool's names of fields.
fn declare(
    thing: &str,
    named: Pairs,
    options: &Options,
    is_idempotent: bool,
    is_declared: bool,
) -> Result<Action, Failure> {
    let is_stream = thing == "stream";
    let singular = match thing {
        "stream" => "queue",
        "permissions" => "permission",
        other => other,
    };
    let object = object(singular).ok_or_else(|| second_usage(&format!("unrecognized subcommand '{thing}'")))?;
    let of_user = matches!(singular, "permission" | "user_limit");
    let of_vhost = matches!(singular, "permission" | "vhost_limit");
    let mut pairs = Vec::new();
    let mut extra = serde_json::Map::new();
    for (name, value) in named {
        match (singular, name.as_str()) {
            (_, "username") if of_user => pairs.push(("user".to_owned(), value)),
            (_, "apply_to" | "applies_to") => pairs.push(("apply-to".to_owned(), value)),
            ("queue", "type") => pairs.push(("queue_type".to_owned(), value)),
            ("queue", "expiration") => drop(extra.insert("x-max-age".to_owned(), json!(value))),
            ("queue", "max_length_bytes" | "stream_max_segment_size_bytes") => {
                drop(extra.insert(format!("x-{}", name.replace('_', "-")), number(&value)));
            }
            // There is no object with this name and these fields in the API when it is deleted.
            ("binding", "routing_key" | "arguments") if !is_declared => {
                extra.insert(name, json!(value));
            }
            ("user", "password_hash" | "password") if value.is_empty() => {}
            _ => pairs.push((name, value)),
        }
    }
    let has = |name: &str, pairs: &[(String, String)]| pairs.iter().any(|(given, _)| given == name);
    for (name, value) in [("tags", singular == "user"), ("vhost", of_vhost)] {
        if value && !has(name, &pairs) && (is_declared || name == "vhost") {
            let value =
                if name == "vhost" { options.vhost.clone().unwrap_or_else(|| "/".to_owned()) } else { String::new() };
            pairs.push((name.to_owned(), value));
        }
    }
    if singular == "exchange" && is_declared && !has("type", &pairs) {
        pairs.push(("type".to_owned(), "direct".to_owned()));
    }
    if is_stream && is_declared {
        pairs.push(("queue_type".to_owned(), "stream".to_owned()));
    }
    let mut fields = object_fields(object, is_declared, pairs, options).map_err(as_second)?;
    if let Some(arguments) = fields.get_mut("arguments").and_then(Value::as_object_mut) {
        arguments.extend(extra);
    } else if !is_declared && singular == "binding" {
        fields.extend(extra);
    }
    let verb = if is_declared { Verb::Declare(object) } else { Verb::Delete(object) };
    Ok(Action { generation: Generation::Second, verb, fields, is_idempotent })
}

fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

/// What is wrong, told as the second tool would.
fn as_second(failure: Failure) -> Failure {
    let text = failure.text.lines().find_map(|line| line.strip_prefix("ERROR: ")).unwrap_or(&failure.text).to_owned();
    second_usage(&text)
}

fn health_check(check: &str) -> Option<&'static str> {
    Some(match check {
        "local_alarms" => "health/checks/local-alarms",
        "cluster_wide_alarms" => "health/checks/alarms",
        "node_is_quorum_critical" => "health/checks/node-is-quorum-critical",
        "deprecated_features_in_use" => "deprecated-features/used",
        "port_listener" => "health/checks/port-listener/{port}",
        "protocol_listener" => "health/checks/protocol-listener/{protocol}",
        "virtual_hosts" => "health/checks/virtual-hosts",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Action {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        parse(&words, &Options::default()).unwrap_or_else(|failure| panic!("{words:?}: {}", failure.text))
    }

    #[test]
    fn both_grammars_declare_the_same_queue() {
        for words in [
            &["declare", "queue", "name=q", "durable=true", "arguments={\"x-max-length\":5}", "queue_type=quorum"][..],
            &[
                "declare",
                "queue",
                "--name",
                "q",
                "--durable",
                "true",
                "--arguments",
                "{\"x-max-length\":5}",
                "--type=quorum",
            ],
            &["queues", "declare", "--name", "q", "--type", "quorum", "--arguments", "{\"x-max-length\":5}"],
        ] {
            let action = parsed(words);
            assert!(matches!(action.verb, Verb::Declare(object) if object.name == "queue"), "{words:?}");
            let expected = json!({"name": "q", "vhost": "/", "durable": true, "auto_delete": false,
                "arguments": {"x-max-length": 5, "x-queue-type": "quorum"}});
            assert_eq!(json!(action.fields), expected, "{words:?}");
        }
    }

    #[test]
    fn the_grammar_decides_how_it_is_answered() {
        assert_eq!(parsed(&["list", "queues", "name", "messages"]).generation, Generation::First);
        assert_eq!(parsed(&["queues", "list"]).generation, Generation::Second);
        assert_eq!(parsed(&["declare", "vhost", "name=v"]).generation, Generation::First);
        assert_eq!(parsed(&["declare", "vhost", "--name", "v"]).generation, Generation::Second);
        assert_eq!(parsed(&["health_check", "local_alarms"]).generation, Generation::Second);
        assert_eq!(parsed(&["health-check", "local-alarms"]).generation, Generation::Second);
    }

    #[test]
    fn names_of_fields_of_the_second_tool_are_understood() {
        let action =
            parsed(&["declare", "permissions", "--username", "u", "--configure", ".", "--read", ".", "--write", "."]);
        assert_eq!(action.fields["user"], "u");
        let action = parsed(&[
            "declare",
            "policy",
            "--name",
            "p",
            "--pattern",
            "^a",
            "--apply-to",
            "queues",
            "--definition",
            "{\"max-length\":3}",
        ]);
        assert_eq!((&action.fields["apply-to"], &action.fields["priority"]), (&json!("queues"), &json!(0)));
        let action = parsed(&["streams", "declare", "--name", "s", "--expiration", "7D", "--max-length-bytes", "1000"]);
        assert_eq!(
            action.fields["arguments"],
            json!({"x-queue-type": "stream", "x-max-age": "7D", "x-max-length-bytes": 1000})
        );
        let action = parsed(&["get", "messages", "-q", "q1", "-c", "2", "--ack-mode", "ack_requeue_false"]);
        assert_eq!((&action.fields["queue"], &action.fields["ackmode"]), (&json!("q1"), &json!("ack_requeue_false")));
    }

    #[test]
    fn a_password_is_hashed_as_it_is() {
        let action = parsed(&["passwords", "salt-and-hash", "a-b"]);
        assert_eq!(action.fields["password"], json!("a-b"));
    }

    #[test]
    fn mistakes_are_told() {
        for (words, text, kind) in [
            (&["declare", "queue"][..], "mandatory argument \"name\" is required", Kind::Failed),
            (&["declare", "queue", "nom=x"], "Argument \"nom\" is not recognised", Kind::Failed),
            (&["declare", "queue", "x"], "Argument \"x\" not in the name=value format", Kind::Failed),
            (&["declare", "bogus", "a=b"], "Type bogus not recognised", Kind::Failed),
            (&["bogus"], "Action bogus not understood", Kind::Failed),
            (&["queues", "declare", "--durable", "true"], "mandatory argument \"name\" is required", Kind::Grammar),
            (&["passwords", "salt_and_hash"], "a password is required", Kind::Grammar),
            (&["queues", "bogus", "--name", "x"], "unrecognized subcommand 'bogus'", Kind::Grammar),
        ] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let failure = parse(&words, &Options::default()).err().unwrap();
            assert!(failure.text.contains(text), "{words:?}: {}", failure.text);
            assert_eq!(failure.kind, kind, "{words:?}");
        }
    }
}
