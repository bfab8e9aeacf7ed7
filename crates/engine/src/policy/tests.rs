use super::*;

fn text(text: &str) -> FieldValue {
    FieldValue::LongStr(text.as_bytes().into())
}

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    entries.iter().for_each(|(name, value)| table.push(name.as_bytes(), value.clone()));
    table
}

fn number(value: i64) -> FieldValue {
    FieldValue::I64(value)
}

fn new(name: &str, pattern: &str, entries: &[(&str, FieldValue)]) -> NewPolicy {
    let (name, pattern) = (name.to_owned(), pattern.to_owned());
    NewPolicy { name, pattern, apply_to: ApplyTo::All, priority: 0, definition: table(entries) }
}

fn refusal(kind: PolicyKind, entries: &[(&str, FieldValue)]) -> String {
    Policy::new(kind, new("p", ".*", entries)).unwrap_err().to_string()
}

#[test]
fn wrong_values_are_refused_in_rabbitmqs_words() {
    let cases = [
        ("max-length", text("x"), "<<\"x\">> is not a valid maximum length"),
        ("max-length", FieldValue::F64(1.5), "1.5 is not a valid maximum length"),
        ("max-length-bytes", number(-1), "-1 is not a valid maximum length in bytes"),
        ("max-in-memory-length", number(-1), "-1 is not a valid maximum memory in bytes"),
        ("message-ttl", number(-1), "-1 is not a valid message TTL"),
        ("expires", number(0), "0 is not a valid queue expiry"),
        ("overflow", FieldValue::Bool(true), "true is not a valid overflow value"),
        ("delivery-limit", text("x"), "<<\"x\">> is not a valid delivery limit"),
        ("dead-letter-exchange", number(1), "1 is not a valid dead letter exchange name"),
        ("dead-letter-routing-key", number(1), "1 is not a valid dead letter routing key"),
        ("alternate-exchange", number(1), "1 is not a valid alternate exchange name"),
        ("queue-mode", text("x"), "<<\"x\">> is not a valid queue-mode value"),
        ("queue-version", number(3), "3 is not a valid queue-version value"),
        ("queue-leader-locator", text("x"), "<<\"x\">> is not a valid queue leader locator value"),
        ("max-age", text("x"), "<<\"x\">> is not a valid max age"),
        ("stream-max-segment-size-bytes", number(-1), "-1 is not a valid segment size"),
        ("consumer-timeout", number(-1), "-1 is not a valid consumer timeout"),
    ];
    for (key, value, expected) in cases {
        assert_eq!(refusal(PolicyKind::User, &[(key, value.clone())]), expected);
        // What is wrong is told before what is unknown.
        assert_eq!(refusal(PolicyKind::User, &[("foo", number(1)), (key, value)]), expected);
    }
    let good = [("delivery-limit", number(-1)), ("expires", number(1)), ("overflow", text("reject-publish"))];
    for entry in good {
        assert!(Policy::new(PolicyKind::User, new("p", "", &[entry])).is_ok());
    }
}

#[test]
fn unknown_keys_and_bad_patterns_are_refused() {
    let unknown = [("foo", number(1)), ("bar", text("x"))];
    let expected = "[{<<\"foo\">>,1},{<<\"bar\">>,<<\"x\">>}] are not recognised policy settings";
    assert_eq!(refusal(PolicyKind::User, &unknown), expected);
    assert_eq!(refusal(PolicyKind::User, &[]), "no policy provided");
    let not_settable = ["max-priority", "single-active-consumer", "queue-type"];
    for key in not_settable {
        let expected = format!("[{{<<\"{key}\">>,1}}] are not recognised policy settings");
        assert_eq!(refusal(PolicyKind::User, &[(key, number(1))]), expected);
    }
    let twice = [("max-length", number(1)), ("max-length", number(2))];
    assert_eq!(refusal(PolicyKind::User, &twice), "[<<\"max-length\">>] duplicate keys not allowed");
    let error = Policy::new(PolicyKind::User, new("p", "(", &[("max-length", number(1))])).unwrap_err();
    assert!(error.to_string().starts_with("pattern should be regular expression but is invalid: "));
    let error = ApplyTo::parse("nothing").unwrap_err().to_string();
    assert!(error.starts_with("apply-to 'nothing' unrecognised; should be one of: 'queues', "), "{error}");
    for name in ["all", "queues", "classic_queues", "quorum_queues", "streams", "exchanges"] {
        assert_eq!(ApplyTo::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn operators_may_say_less() {
    let allowed =
        ["expires", "message-ttl", "max-length", "max-length-bytes", "max-in-memory-length", "delivery-limit"];
    for key in allowed {
        assert!(Policy::new(PolicyKind::Operator, new("p", "", &[(key, number(1))])).is_ok(), "{key}");
    }
    let expected = "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings";
    assert_eq!(refusal(PolicyKind::Operator, &[("dead-letter-exchange", text("x"))]), expected);
}

fn policies(of_user: Vec<NewPolicy>) -> Policies {
    let mut policies = Policies::default();
    for new in of_user {
        policies.set(PolicyKind::User, Policy::new(PolicyKind::User, new).unwrap());
    }
    policies
}

fn found(policies: &Policies, target: Target, name: &str) -> Option<String> {
    policies.of(target, name).user.map(|policy| policy.name.to_string())
}

const CLASSIC: Target = Target::Queue(QueueType::Classic);
const QUORUM: Target = Target::Queue(QueueType::Quorum);
const STREAM: Target = Target::Queue(QueueType::Stream);

#[test]
fn the_highest_priority_that_matches_acts() {
    let limit = [("max-length", number(1))];
    let low = NewPolicy { priority: -5, ..new("low", "", &limit) };
    let high = NewPolicy { priority: 7, ..new("high", "^a", &limit) };
    let policies = policies(vec![low, high, new("middle", "b", &limit)]);
    for (name, expected) in [("abc", "high"), ("cba", "middle"), ("c", "low")] {
        assert_eq!(found(&policies, CLASSIC, name).as_deref(), Some(expected), "{name}");
    }
    assert!(policies.of(CLASSIC, "abc").operator.is_none());
}

#[test]
fn it_acts_on_what_it_is_for() {
    let targets = [CLASSIC, QUORUM, STREAM, Target::Exchange];
    let cases = [
        (ApplyTo::All, [true, true, true, true]),
        (ApplyTo::Queues, [true, true, true, false]),
        (ApplyTo::ClassicQueues, [true, false, false, false]),
        (ApplyTo::QuorumQueues, [false, true, false, false]),
        (ApplyTo::Streams, [false, false, true, false]),
        (ApplyTo::Exchanges, [false, false, false, true]),
    ];
    for (apply_to, expected) in cases {
        let policy = NewPolicy { apply_to, ..new("p", "x", &[("max-length-bytes", number(1))]) };
        let policies = policies(vec![policy]);
        assert_eq!(targets.map(|target| found(&policies, target, "axe").is_some()), expected, "{apply_to:?}");
        assert_eq!(targets.map(|target| found(&policies, target, "b").is_some()), [false; 4]);
    }
}

#[test]
fn a_setting_that_a_type_does_not_know_keeps_the_policy_from_it() {
    let queue_keys = new("queues", "", &[("max-length-bytes", number(1)), ("message-ttl", number(1))]);
    let every = NewPolicy { priority: -1, ..new("every", "", &[("max-length-bytes", number(9))]) };
    let policies = policies(vec![queue_keys, every]);
    assert_eq!(found(&policies, CLASSIC, "q").as_deref(), Some("queues"));
    assert_eq!(found(&policies, QUORUM, "q").as_deref(), Some("queues"));
    assert_eq!(found(&policies, STREAM, "q").as_deref(), Some("every"));
}

#[test]
fn operators_bound_what_users_say() {
    let user = table(&[
        ("message-ttl", number(100)),
        ("max-length", number(5)),
        ("delivery-limit", number(-1)),
        ("overflow", text("drop-head")),
        ("dead-letter-exchange", text("x")),
    ]);
    let operator = table(&[
        ("max-length-bytes", number(7)),
        ("message-ttl", number(50)),
        ("max-length", number(50)),
        ("delivery-limit", number(3)),
        ("overflow", text("reject-publish")),
    ]);
    let expected = table(&[
        ("dead-letter-exchange", text("x")),
        ("delivery-limit", number(3)),
        ("max-length", number(5)),
        ("max-length-bytes", number(7)),
        ("message-ttl", number(50)),
        ("overflow", text("reject-publish")),
    ]);
    assert_eq!(merge_definitions(&user, &operator), expected);
}

#[test]
fn arguments_and_policies_come_together() {
    let definition = table(&[
        ("message-ttl", number(50)),
        ("max-length", number(50)),
        ("expires", number(9)),
        ("delivery-limit", number(10)),
        ("overflow", text("reject-publish")),
        ("dead-letter-exchange", text("policy")),
        ("dead-letter-routing-key", text("key")),
    ]);
    let arguments = table(&[
        ("x-message-ttl", FieldValue::I32(100)),
        ("x-max-length", FieldValue::U8(5)),
        ("x-delivery-limit", FieldValue::I8(20)),
        ("x-overflow", text("drop-head")),
        ("x-dead-letter-exchange", text("argument")),
        ("x-other", number(1)),
    ]);
    for (queue_type, overflow) in [(QueueType::Classic, "drop-head"), (QueueType::Quorum, "reject-publish")] {
        let expected = table(&[
            ("x-message-ttl", number(50)),
            ("x-max-length", FieldValue::U8(5)),
            ("x-delivery-limit", number(10)),
            ("x-overflow", text(overflow)),
            ("x-dead-letter-exchange", text("argument")),
            ("x-other", number(1)),
            ("x-expires", number(9)),
            ("x-dead-letter-routing-key", text("key")),
        ]);
        assert_eq!(effective_arguments(queue_type, &arguments, &definition), expected);
    }
    assert_eq!(effective_arguments(QueueType::Classic, &arguments, &FieldTable::default()), arguments);
}

#[test]
fn a_negative_delivery_limit_is_none() {
    for (a, b, expected) in [(-1, 5, 5), (5, -1, 5), (3, 5, 3), (5, 3, 3), (-2, -1, -1)] {
        let merged =
            merge_definitions(&table(&[("delivery-limit", number(a))]), &table(&[("delivery-limit", number(b))]));
        assert_eq!(merged, table(&[("delivery-limit", number(expected))]), "{a} and {b}");
    }
}

#[test]
fn the_shorter_age_counts() {
    let merged = effective_arguments(
        QueueType::Stream,
        &table(&[("x-max-age", text("1h"))]),
        &table(&[("max-age", text("90s"))]),
    );
    assert_eq!(merged, table(&[("x-max-age", text("90s"))]));
}

#[test]
fn patterns_may_look_around_and_never_take_long() {
    let all_but_system = new("p", r"^(?!amq\.).*", &[("max-length", number(1))]);
    let all_but_system = policies(vec![all_but_system]);
    assert_eq!(found(&all_but_system, CLASSIC, "orders").as_deref(), Some("p"));
    assert_eq!(found(&all_but_system, CLASSIC, "amq.gen-1"), None);
    // This one takes time that doubles with each letter, if nothing stops it.
    let endless = policies(vec![new("p", r"^(?=(a|a)*$)(a|a)*\1b$", &[("max-length", number(1))])]);
    assert_eq!(found(&endless, CLASSIC, &"a".repeat(200)), None);
}
