//! What administration sets: it survives a restart, acts at once on who is there, and is gone when it is cleared.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::TestJournal;
use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::FieldTable;
use leveret_engine::admin::{AdminError, AuthError, DefaultUser, Gone, NewUser, Password, UserLimit, VhostLimit};
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::{Journal, Record, SettingKey, SettingKind};
use leveret_engine::log;
use leveret_engine::names::ConnectionId;
use leveret_engine::password::PasswordRule;
use leveret_engine::permission::{Permissions, Resource, Rights, Verb};
use leveret_engine::policy::{NewPolicy, PolicyKind};
use leveret_engine::queue::arguments::QueueType;
use leveret_engine::queue::{Got, Queue};
use leveret_engine::restore::{Restored, RestoredSetting};
use leveret_engine::user::{Account, User};
use leveret_engine::vhost::{BindingKey, BindingsOf, ExchangeDeclare, QueueDeclare, Vhost, VhostMetadata};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

const ACTOR: &str = "admin";

struct Fixture {
    journal: Arc<TestJournal>,
    broker: Broker,
}

impl Fixture {
    fn new() -> Self {
        let journal = TestJournal::new(true);
        let broker = Broker::with_guest(common::services(&journal, u64::MAX));
        Self { journal, broker }
    }

    fn restart(self) -> (Self, Vec<String>) {
        let restored = self.journal.restart_broker();
        let (broker, problems) = Broker::restore(common::services(&self.journal, u64::MAX), &restored);
        (Self { broker, ..self }, problems)
    }

    /// Everything that can be set, once.
    fn set_up(&self) {
        let broker = &self.broker;
        let metadata = VhostMetadata {
            description: "for tests".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
            default_queue_type: Some(QueueType::Quorum),
            tracing: true,
            protected_from_deletion: true,
        };
        broker.put_vhost("v", &metadata, ACTOR).unwrap();
        let tags = vec!["management".to_owned()];
        broker.put_user("bob", &NewUser { password: plain("secret"), tags }, ACTOR).unwrap();
        broker.set_permissions("bob", "v", "^c", "", ".*", ACTOR).unwrap();
        broker.set_topic_permissions("bob", "v", "amq.topic", "^{username}", "^r", ACTOR).unwrap();
        broker.set_vhost_limit("v", VhostLimit::MaxQueues, Some(3), ACTOR).unwrap();
        broker.set_user_limit("bob", UserLimit::MaxChannels, Some(7), ACTOR).unwrap();
        broker.set_policy("v", PolicyKind::User, NewPolicy::new("p", "^q").number("max-length", 5), ACTOR).unwrap();
        broker.set_policy("v", PolicyKind::Operator, NewPolicy::new("o", "").number("expires", 9), ACTOR).unwrap();
        broker.set_parameter("v", "shovel", "s/1", json!({"src-uri": "amqp://"}), ACTOR).unwrap();
        broker.set_global_parameter("g", json!([1, 2]), ACTOR).unwrap();
        broker.set_cluster_name("prod", ACTOR).unwrap();
    }
}

fn plain(password: &str) -> Password {
    Password::Plain(password.to_owned())
}

fn declare(vhost: &Vhost, broker: &Broker, name: &str) -> Result<(), String> {
    declare_as(vhost, &broker.user("guest").unwrap(), name)
}

fn declare_as(vhost: &Vhost, user: &User, name: &str) -> Result<(), String> {
    let arguments = &FieldTable::default();
    let declare =
        QueueDeclare { name, durable: true, exclusive: false, auto_delete: false, arguments, random: [0; 16] };
    vhost.declare_queue(&declare, user, ConnectionId(1)).map(drop).map_err(|error| error.to_string())
}

#[test]
fn everything_that_is_set_survives() {
    let fixture = Fixture::new();
    assert!(fixture.broker.is_fresh());
    fixture.set_up();
    let before = format!("{:?}", fixture.broker.parameters(None, None));
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let broker = &fixture.broker;
    assert!(!broker.is_fresh());
    let vhost = broker.vhost("v").unwrap();
    let metadata = vhost.metadata();
    assert_eq!((&*metadata.description, &*metadata.tags), ("for tests", &["a".to_owned(), "b".to_owned()][..]));
    assert!(metadata.protected_from_deletion && !metadata.tracing, "tracing does not survive");
    assert_eq!(vhost.default_queue_type(), QueueType::Quorum);
    assert_eq!(vhost.limits().queues_max, Some(3));
    let bob = broker.authenticate("bob", b"secret").unwrap();
    assert_eq!((bob.tags(), bob.limits().channels_max), (vec!["management".to_owned()], Some(7)));
    assert!(bob.check(&vhost, Verb::Configure, Resource::Queue("cq")).is_ok());
    assert!(bob.check(&vhost, Verb::Write, Resource::Queue("cq")).is_err());
    let topic = vhost.exchange("amq.topic").unwrap();
    assert!(bob.check_topic(&vhost, Verb::Write, &topic, b"bob.x").is_ok());
    assert!(bob.check_topic(&vhost, Verb::Write, &topic, b"eve.x").is_err());
    assert_eq!(broker.topic_permissions()[0].write, "^{username}", "as it was given");
    assert_eq!(vhost.policies(PolicyKind::User)[0].pattern(), "^q");
    assert_eq!(&*vhost.policies(PolicyKind::Operator)[0].name, "o");
    assert_eq!(format!("{:?}", broker.parameters(None, None)), before);
    assert_eq!((broker.cluster_name(), broker.global_parameters().len()), ("prod".to_owned(), 3));
    assert!(broker.cluster_id().starts_with("rabbitmq-cluster-id-"), "it was given one");
}

#[test]
fn what_is_cleared_stays_cleared() {
    let fixture = Fixture::new();
    fixture.set_up();
    let broker = &fixture.broker;
    broker.clear_permissions("bob", "v", ACTOR).unwrap();
    broker.clear_topic_permissions("bob", "v", None, ACTOR).unwrap();
    broker.set_vhost_limit("v", VhostLimit::MaxQueues, Some(-1), ACTOR).unwrap();
    broker.set_user_limit("bob", UserLimit::MaxChannels, None, ACTOR).unwrap();
    broker.clear_policy("v", PolicyKind::User, "p", ACTOR).unwrap();
    broker.clear_parameter("v", "operator_policy", "o", ACTOR).unwrap();
    broker.clear_parameter("v", "shovel", "s/1", ACTOR).unwrap();
    broker.clear_global_parameter("g", ACTOR).unwrap();
    broker.clear_global_parameter("cluster_name", ACTOR).unwrap();
    for nothing in [
        broker.clear_permissions("bob", "v", ACTOR),
        broker.clear_policy("v", PolicyKind::User, "p", ACTOR),
        broker.clear_parameter("v", "shovel", "s/1", ACTOR),
        broker.clear_global_parameter("g", ACTOR),
    ] {
        assert!(matches!(nothing, Err(AdminError::Nothing { .. })), "{nothing:?}");
    }
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let broker = &fixture.broker;
    assert!(!broker.user("bob").unwrap().may_enter("v") && !broker.user("bob").unwrap().has_topic_permissions());
    assert_eq!((broker.parameters(None, None), broker.global_parameters().len()), (Vec::new(), 1));
    assert!(broker.vhost("v").unwrap().policies(PolicyKind::User).is_empty());
}

#[test]
fn a_deleted_vhost_takes_everything_along() {
    let fixture = Fixture::new();
    fixture.set_up();
    let (broker, told) = (&fixture.broker, Arc::new(Mutex::new(Vec::new())));
    let listener = Arc::clone(&told);
    broker.when_gone(move |gone| listener.lock().unwrap().push(gone.clone()));
    broker.set_permissions("guest", "v", ".*", ".*", ".*", ACTOR).unwrap();
    let (vhost, guest) = (broker.vhost("v").unwrap(), broker.user("guest").unwrap());
    declare(&vhost, broker, "q").unwrap();
    let mut delays = FieldTable::default();
    let text = leveret_codec::table::FieldValue::LongStr((*b"direct").into());
    delays.push(*b"x-delayed-type", text);
    for (name, kind, arguments) in [("x", "fanout", FieldTable::default()), ("d", "x-delayed-message", delays)] {
        let (durable, auto_delete, internal, arguments) = (true, false, false, &arguments);
        let declare = ExchangeDeclare { name, kind, durable, auto_delete, internal, arguments };
        vhost.declare_exchange(&declare, &guest).unwrap();
    }
    let empty = FieldTable::default();
    let key = BindingKey { source: "x", routing_key: b"", arguments: &empty, user: "guest" };
    vhost.bind_queue(&key, "q", ConnectionId(1), &mut Effects::default()).unwrap();

    let refused = broker.delete_vhost("v", ACTOR).unwrap_err();
    assert_eq!(refused, AdminError::Protected("v".to_owned()));
    broker.set_deletion_protection("v", false, ACTOR).unwrap();
    let done = broker.delete_vhost("v", ACTOR).unwrap();
    assert!(fixture.journal.durable() >= done.lsn);
    assert_eq!(*told.lock().unwrap(), [Gone::Vhost("v".into())]);
    assert_eq!(told.lock().unwrap()[0].reason(), "vhost 'v' is deleted");
    assert!(vhost.is_deleted() && vhost.queues().is_empty() && vhost.exchanges().is_empty());
    assert!(vhost.bindings(BindingsOf::All).is_empty());
    let permissions = [("v".into(), Permissions::all())].into_iter().collect();
    let late = User::new("late", Account::default(), Rights { permissions, ..Rights::default() });
    assert_eq!(declare_as(&vhost, &late, "late").unwrap_err(), "vhost 'v' is deleted", "nothing comes after the end");
    assert_eq!(broker.delete_vhost("v", ACTOR), Err(AdminError::NoVhost("v".to_owned())));

    let left = fixture.journal.restart_broker();
    assert!(left.queues.is_empty() && left.exchanges.is_empty() && left.bindings.is_empty(), "{left:?}");
    let kinds: Vec<_> = left.settings.iter().map(|setting| (setting.kind, &*setting.scope)).collect();
    assert!(kinds.iter().all(|(_, scope)| *scope != "v"), "{kinds:?}");
    let (fixture, problems) = fixture.restart();
    assert_eq!((problems, fixture.broker.vhosts().len()), (Vec::new(), 1));
    assert!(fixture.broker.user("bob").unwrap().rights().permissions.is_empty());
}

#[test]
fn a_deleted_user_may_do_nothing_any_more() {
    let fixture = Fixture::new();
    fixture.set_up();
    let (broker, vhost) = (&fixture.broker, fixture.broker.vhost("v").unwrap());
    let bob = broker.user("bob").unwrap();
    let admission = broker.admit(&bob, "v").unwrap();
    assert_eq!(admission.gone(), None);
    broker.delete_user("bob", ACTOR).unwrap();
    assert_eq!(admission.gone(), Some(Gone::User("bob".into())));
    assert!(bob.check(&vhost, Verb::Configure, Resource::Queue("cq")).is_err());
    assert_eq!(broker.authenticate("bob", b"secret").unwrap_err(), AuthError::Credentials("bob".to_owned()));
    // One of that name who comes later is another.
    broker.put_user("bob", &NewUser { password: plain("other"), tags: Vec::new() }, ACTOR).unwrap();
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let bob = fixture.broker.authenticate("bob", b"other").unwrap();
    assert!(!bob.may_enter("v") && bob.limits().channels_max.is_none() && bob.tags().is_empty());
}

#[test]
fn changes_are_seen_by_who_holds_the_user() {
    let fixture = Fixture::new();
    fixture.set_up();
    let (broker, vhost) = (&fixture.broker, fixture.broker.vhost("v").unwrap());
    let bob = broker.user("bob").unwrap();
    let before = bob.generation();
    broker.set_permissions("bob", "v", "", "^w", "", ACTOR).unwrap();
    assert!(bob.check(&vhost, Verb::Write, Resource::Exchange("w")).is_ok());
    assert!(bob.check(&vhost, Verb::Configure, Resource::Queue("cq")).is_err());
    let after = bob.generation();
    assert!(after > before);
    broker.set_user_tags("bob", vec!["impersonator".to_owned()], ACTOR).unwrap();
    assert!(bob.is_impersonator() && bob.generation() > after);
    assert!(bob.accepts(b"secret"), "the password stays");
    broker.set_password("bob", Password::None, ACTOR).unwrap();
    assert!(!bob.accepts(b"secret") && !bob.accepts(b"") && bob.password_hash().is_empty());
    assert_eq!(broker.authenticate("bob", b"").unwrap_err(), AuthError::BlankPassword("bob".to_owned()));
}

#[test]
fn limits_are_kept_and_told_in_rabbitmqs_words() {
    let fixture = Fixture::new();
    let broker = &fixture.broker;
    let (guest, vhost) = (broker.user("guest").unwrap(), broker.vhost("/").unwrap());
    broker.set_vhost_limit("/", VhostLimit::MaxQueues, Some(1), ACTOR).unwrap();
    declare(&vhost, broker, "one").unwrap();
    declare(&vhost, broker, "one").expect("it is there already");
    let refused = declare(&vhost, broker, "two").unwrap_err();
    assert_eq!(refused, "cannot declare queue 'two': queue limit in vhost '/' (1) is reached");

    let admission = broker.admit(&guest, "/").unwrap();
    let refused = |vhost: &str| broker.admit(&guest, vhost).unwrap_err().to_string();
    broker.set_vhost_limit("/", VhostLimit::MaxConnections, Some(1), ACTOR).unwrap();
    assert_eq!(refused("/"), "access to vhost '/' refused for user 'guest': connection limit (1) is reached");
    assert_eq!(refused("nowhere"), "vhost nowhere not found");
    broker.set_vhost_limit("/", VhostLimit::MaxConnections, None, ACTOR).unwrap();
    broker.set_user_limit("guest", UserLimit::MaxConnections, Some(1), ACTOR).unwrap();
    assert_eq!(refused("/"), "connection refused for user 'guest': user connection limit (1) is reached");
    broker.services.node.set_limits(Some(1), None);
    assert_eq!(refused("/"), "connection refused: node connection limit (1) is reached");
    broker.services.node.set_limits(None, None);

    broker.set_user_limit("guest", UserLimit::MaxChannels, Some(1), ACTOR).unwrap();
    let channel = admission.admit_channel().unwrap();
    assert_eq!(
        admission.admit_channel().unwrap_err().to_string(),
        "number of channels opened for user 'guest' has reached the maximum allowed user limit of 1"
    );
    drop(channel);
    drop(admission.admit_channel().unwrap());
    assert_eq!((broker.services.node.channels(), vhost.connections()), (0, 1));
    drop(admission);
    assert_eq!((broker.services.node.connections(), vhost.connections()), (0, 0));
    drop(broker.admit(&guest, "/").unwrap());
    broker.clear_permissions("guest", "/", ACTOR).unwrap();
    assert_eq!(refused("/"), "access to vhost '/' refused for user 'guest'");
    assert_eq!(vhost.connections(), 0, "who is refused does not count");
}

#[test]
fn policies_are_in_force_after_a_restart() {
    let fixture = Fixture::new();
    let vhost = fixture.broker.vhost("/").unwrap();
    declare(&vhost, &fixture.broker, "short").unwrap();
    let policy = NewPolicy::new("p", "^short$").number("consumer-timeout", 5000);
    fixture.broker.set_policy("/", PolicyKind::User, policy, ACTOR).unwrap();
    assert_eq!(vhost.queue("short").unwrap().consumer_timeout_ms(), Some(5000));
    let (fixture, _) = fixture.restart();
    let queue = fixture.broker.vhost("/").unwrap().queue("short").unwrap();
    assert_eq!(queue.consumer_timeout_ms(), Some(5000));
    fixture.broker.clear_policy("/", PolicyKind::User, "p", ACTOR).unwrap();
    assert_eq!(queue.consumer_timeout_ms(), None);
}

#[test]
fn whoever_adds_a_vhost_may_use_it() {
    let fixture = Fixture::new();
    let done = fixture.broker.put_vhost("mine", &VhostMetadata::default(), "guest").unwrap();
    assert!(done.created && fixture.broker.user("guest").unwrap().may_enter("mine"));
    let done = fixture.broker.put_vhost("mine", &VhostMetadata::default(), "guest").unwrap();
    assert!(!done.created);
    fixture.broker.put_vhost("theirs", &VhostMetadata::default(), "nobody").unwrap();
    assert!(!fixture.broker.user("guest").unwrap().may_enter("theirs"));
}

#[test]
fn refusals_are_rabbitmqs() {
    let broker = Fixture::new().broker;
    let policy = |policy| broker.set_policy("/", PolicyKind::User, policy, ACTOR).unwrap_err().to_string();
    assert_eq!(policy(NewPolicy::new("p", "")), "Validation failed\n\nno policy provided\n");
    let parameter =
        |component, name, value| broker.set_parameter("/", component, name, value, ACTOR).unwrap_err().to_string();
    assert_eq!(parameter("policy", "p", json!({})), "policies may not be set using this method");
    assert_eq!(parameter("odd", "p", json!({})), "Validation failed\n\ncomponent odd not found\n");
    assert_eq!(
        parameter("vhost-limits", "limits", json!({"max-queues": "x"})),
        "Validation failed\n\nmax-queues should be a number, actually was <<\"x\">>\n"
    );
    let refused = broker.set_permissions("guest", "/", "(", "", "", ACTOR).unwrap_err();
    assert!(matches!(refused, AdminError::Pattern { pattern, .. } if pattern == "("));
    assert_eq!(broker.put_vhost("", &VhostMetadata::default(), ACTOR), Err(AdminError::Name { what: "vhost" }));
    let long = "x".repeat(2 * 1024 * 1024);
    let refused = broker.set_global_parameter("g", json!(long), ACTOR);
    assert!(matches!(refused, Err(AdminError::TooLarge { .. })), "{refused:?}");
    let hash = Password::Hash { hash: "not base64!".to_owned(), algorithm: None };
    let refused = broker.put_user("u", &NewUser { password: hash, tags: Vec::new() }, ACTOR).unwrap_err();
    assert_eq!(refused.to_string(), "password_hash is not a base64-encoded string");
}

#[test]
fn guest_comes_from_this_machine_only_unless_told_otherwise() {
    let broker = Fixture::new().broker;
    assert_eq!(broker.check_loopback("guest", true), Ok(()));
    let refused = broker.check_loopback("guest", false).unwrap_err();
    assert_eq!(refused.to_string(), "user 'guest' can only connect via localhost");
    assert_eq!(broker.check_loopback("bob", false), Ok(()));
    broker.set_loopback_users(["bob"]);
    assert!(broker.check_loopback("guest", false).is_ok() && broker.check_loopback("bob", false).is_err());
}

/// A data directory of a version that kept no settings.
#[test]
fn old_directories_get_settings() {
    let fixture = Fixture::new();
    let vhost = fixture.broker.vhost("/").unwrap();
    declare(&vhost, &fixture.broker, "q").unwrap();
    let mut restored = fixture.journal.restart_broker();
    restored.settings.clear();
    restored.queues[0].vhost = "old".to_owned();
    let journal = TestJournal::new(true);
    let (broker, problems) = Broker::restore(common::services(&journal, u64::MAX), &restored);
    assert_eq!((problems, broker.is_fresh()), (Vec::new(), true));
    broker.seed(&DefaultUser::default()).unwrap();
    let guest = broker.authenticate("guest", b"guest").unwrap();
    assert!(guest.may_enter("old") && guest.may_enter("/"));
    let settings = journal.restart_broker().settings;
    let (again, problems) =
        Broker::restore(common::services(&journal, u64::MAX), &Restored { settings, ..Restored::default() });
    assert_eq!((problems, again.is_fresh()), (Vec::new(), false));
    assert!(again.vhost("old").is_some() && again.user("guest").unwrap().may_enter("old"));
}

#[test]
fn what_cannot_be_understood_is_told_and_left_out() {
    let setting = |kind: u8, scope: &str, name: &str, value: &[u8]| RestoredSetting {
        kind,
        scope: scope.to_owned(),
        name: name.to_owned(),
        value: value.to_vec(),
    };
    let sound = [
        setting(1, "", "/", b"{}"),
        setting(2, "", "eve", br#"{"password_hash":"","hashing_algorithm":"","tags":["x"],"more":1}"#),
    ];
    let odd = [
        setting(1, "", "half", b"{"),
        setting(2, "", "bob", br#"{"password_hash":"AAAA","hashing_algorithm":"crc","tags":[]}"#),
        setting(3, "/", "nobody", br#"{"configure":"","write":"","read":""}"#),
        setting(3, "nowhere", "eve", br#"{"configure":"","write":"","read":""}"#),
        setting(3, "/", "eve", br#"{"configure":"(","write":"","read":""}"#),
        setting(4, "/", "eve", br#"{"write":"","read":""}"#),
        setting(5, "/", r#"["shovel","s"]"#, b"\xff"),
        setting(6, "", "g", b"[1,"),
        setting(7, "/", "p", br#"{"pattern":"","definition":{}}"#),
        setting(8, "/", "p", br#"{"pattern":"","definition":{"odd":1}}"#),
        setting(9, "/", "limits", br#"{"max-queues":-1}"#),
        setting(10, "", "eve", b"7"),
        setting(11, "/", "q", br#"{"id":-1}"#),
        setting(200, "", "x", b"{}"),
    ];
    let restored = Restored { settings: [&odd[..], &sound[..]].concat(), ..Restored::default() };
    let services = common::services(&TestJournal::new(true), u64::MAX);
    let (broker, problems) = Broker::restore(services, &restored);
    assert_eq!(problems.len(), odd.len(), "{problems:#?}");
    assert!(broker.vhost("half").is_some(), "a vhost may have queues");
    assert!(broker.authenticate("bob", b"x").is_err());
    assert!(broker.user("eve").unwrap().has_tag("x"));
}

proptest! {
    /// Damage that no checksum tells, or what somebody else wrote.
    #[test]
    fn any_settings_may_be_found(
        settings in vec((0..13u8, "(v|/|)", r#"(v|u|/|\["a","b"\]|\[1)"#, value()), 0..20),
    ) {
        let settings = settings.into_iter().map(|(kind, scope, name, value)| RestoredSetting { kind, scope, name, value });
        let restored = Restored { settings: settings.collect(), ..Restored::default() };
        let (broker, problems) = Broker::restore(common::services(&TestJournal::new(true), u64::MAX), &restored);
        prop_assert!(problems.len() <= restored.settings.len());
        let vhosts = restored.settings.iter().filter(|setting| setting.kind == 1).map(|setting| &setting.name);
        prop_assert_eq!(broker.vhosts().len(), vhosts.collect::<BTreeSet<_>>().len());
        broker.seed(&DefaultUser::default()).unwrap();
    }
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let sound = prop_oneof![
        Just(json!({"configure": "a", "write": "(", "read": ""})),
        Just(json!({"pattern": "", "definition": {"max-length": 1}})),
        Just(json!({"tags": [1], "password_hash": "x"})),
        Just(json!({"max-queues": 1, "max-channels": -1})),
        Just(json!({"description": null})),
        Just(json!({})),
    ];
    prop_oneof![sound.prop_map(|value| value.to_string().into_bytes()), vec(any::<u8>(), 0..9)]
}

#[test]
fn kinds_have_the_numbers_that_journals_have() {
    let kinds: Vec<_> = (1..=11).map(|number| SettingKind::of_number(number).unwrap()).collect();
    assert_eq!(kinds[0], SettingKind::Vhost);
    assert_eq!((kinds[9], kinds[10]), (SettingKind::UserLimits, SettingKind::PausedQueue));
    assert!(kinds.iter().zip(1..).all(|(kind, number)| kind.number() == number));
    assert_eq!((SettingKind::of_number(0), SettingKind::of_number(12)), (None, None));
    let key = SettingKey { kind: SettingKind::Vhost, scope: "", name: "x" };
    let journal = TestJournal::new(true);
    journal.append(&Record::Setting { key, value: b"{}" });
    journal.append(&Record::SettingCleared { key });
    assert!(journal.restart_broker().settings.is_empty());
}

/// Key and headers of each event since the last call.
fn events(broker: &Broker, ear: &Arc<Queue>) -> Vec<(String, FieldTable)> {
    broker.services.notices.publish(&mut Effects::default());
    let mut events = Vec::new();
    while let Got::Message { entry, .. } = ear.get(true) {
        let parts = entry.message.parts();
        let headers = PropertiesRef::from_checked(parts.properties).headers().unwrap().decode().unwrap();
        events.push((String::from_utf8(parts.routing_key.to_vec()).unwrap(), headers));
    }
    events
}

/// The names are those that RabbitMQ tells, in its order, and each says who did it.
#[test]
fn everything_is_told_of() {
    let fixture = Fixture::new();
    let (broker, vhost) = (&fixture.broker, fixture.broker.vhost("/").unwrap());
    let empty = FieldTable::default();
    let (name, durable, exclusive, auto_delete, random) = ("ear", false, false, false, [0; 16]);
    let declare = QueueDeclare { name, durable, exclusive, auto_delete, arguments: &empty, random };
    let (ear, ..) = vhost.declare_queue(&declare, &broker.user("guest").unwrap(), ConnectionId(1)).unwrap();
    let key = BindingKey { source: "amq.rabbitmq.event", routing_key: b"#", arguments: &empty, user: "guest" };
    vhost.bind_queue(&key, "ear", ConnectionId(1), &mut Effects::default()).unwrap();
    events(broker, &ear);
    let names = || {
        let events = events(broker, &ear);
        let actor = leveret_codec::table::FieldValue::LongStr((*b"admin").into());
        for (name, headers) in &events {
            assert_eq!(headers.get(b"user_who_performed_action"), Some(&actor), "{name}");
        }
        events.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    fixture.set_up();
    let told = [
        "vhost.created",
        "user.created",
        "user.tags.set",
        "permission.created",
        "topic.permission.created",
        "parameter.set",
        "vhost.limits.set",
        "user.limits.set",
        "policy.set",
        "parameter.set",
        "parameter.set",
        "parameter.set",
        "parameter.set",
    ];
    assert_eq!(names(), told);
    broker.put_vhost("v", &VhostMetadata::default(), ACTOR).unwrap();
    broker.set_password("bob", plain("other"), ACTOR).unwrap();
    broker.set_password("bob", Password::None, ACTOR).unwrap();
    assert_eq!(names(), ["vhost.updated", "user.password.changed", "user.password.cleared"]);
    broker.set_user_limit("bob", UserLimit::MaxChannels, None, ACTOR).unwrap();
    broker.set_permissions("bob", "/", "", "", "", ACTOR).unwrap();
    broker.clear_permissions("bob", "/", ACTOR).unwrap();
    broker.clear_global_parameter("g", ACTOR).unwrap();
    assert_eq!(names(), ["user.limits.cleared", "permission.created", "permission.deleted", "parameter.cleared"]);
    broker.delete_vhost("v", ACTOR).unwrap();
    let mut told = names();
    told.retain(|name| name != "exchange.deleted");
    let expected = [
        "permission.deleted",
        "topic.permission.deleted",
        "policy.cleared",
        "parameter.cleared",
        "parameter.cleared",
        "parameter.cleared",
        "vhost.limits.cleared",
        "vhost.deleted",
    ];
    assert_eq!(told, expected);
    broker.delete_user("bob", ACTOR).unwrap();
    assert_eq!(names(), ["user.deleted"]);
}

#[test]
fn a_node_has_a_default_type_of_queues() {
    let broker = Fixture::new().broker;
    let vhost = broker.vhost("/").unwrap();
    broker.services.set_default_queue_type(QueueType::Quorum);
    declare(&vhost, &broker, "q").unwrap();
    assert_eq!(vhost.queue("q").unwrap().settings.queue_type, QueueType::Quorum);
    let metadata = VhostMetadata { default_queue_type: Some(QueueType::Classic), ..VhostMetadata::default() };
    broker.put_vhost("/", &metadata, ACTOR).unwrap();
    declare(&vhost, &broker, "c").unwrap();
    assert_eq!(vhost.queue("c").unwrap().settings.queue_type, QueueType::Classic, "the vhost's comes first");
}

/// Who has bound a queue hears of events after a restart, wherever they were told before.
#[test]
fn events_are_heard_after_a_restart() {
    let fixture = Fixture::new();
    fixture.broker.delete_vhost("/", ACTOR).unwrap();
    for name in ["b", "/", "a"] {
        fixture.broker.put_vhost(name, &VhostMetadata::default(), "guest").unwrap();
    }
    let vhost = fixture.broker.vhost("b").unwrap();
    declare(&vhost, &fixture.broker, "ear").unwrap();
    let empty = FieldTable::default();
    let key = BindingKey { source: "amq.rabbitmq.event", routing_key: b"policy.*", arguments: &empty, user: "guest" };
    vhost.bind_queue(&key, "ear", ConnectionId(1), &mut Effects::default()).unwrap();
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let policy = NewPolicy { priority: -5, ..NewPolicy::new("p", "").number("max-length", 5) };
    fixture.broker.set_policy("/", PolicyKind::User, policy, ACTOR).unwrap();
    let ear = fixture.broker.vhost("b").unwrap().queue("ear").unwrap();
    let told = events(&fixture.broker, &ear);
    assert_eq!(told.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["policy.set"]);
    assert_eq!(told[0].1.get(b"priority"), Some(&leveret_codec::table::FieldValue::I64(-5)));
}

/// Where there is no vhost `/`, another tells of events; and where there was one, none tells any more.
#[test]
fn events_have_a_place() {
    let broker = Broker::with_services(common::services(&TestJournal::new(true), u64::MAX));
    broker.put_vhost("b", &VhostMetadata::default(), ACTOR).unwrap();
    broker.put_vhost("a", &VhostMetadata::default(), ACTOR).unwrap();
    let has_events = |vhost: &str| broker.vhost(vhost).unwrap().exchange("amq.rabbitmq.event").is_ok();
    assert!(has_events("b") && !has_events("a"));
    broker.delete_vhost("b", ACTOR).unwrap();
    assert!(has_events("a"));
}

#[test]
fn limits_of_the_node_are_told_in_rabbitmqs_words() {
    let fixture = Fixture::new();
    let broker = &fixture.broker;
    let (guest, root) = (broker.user("guest").unwrap(), broker.vhost("/").unwrap());
    let put =
        |name: &str| broker.put_vhost(name, &VhostMetadata::default(), "guest").map_err(|error| error.to_string());
    broker.services.node.set_limits_of_things(Some(2), Some(2), Some(17));
    put("v").unwrap();
    put("v").expect("it is there already");
    assert_eq!(put("w").unwrap_err(), "cannot create vhost 'w': vhost limit of 2 is reached");
    let other = broker.vhost("v").unwrap();
    declare(&root, broker, "one").unwrap();
    declare(&other, broker, "one").unwrap();
    let refused = declare(&root, broker, "two").unwrap_err();
    assert_eq!(refused, "cannot declare queue 'two': queue limit in cluster (2) is reached");
    // Eight exchanges in the first vhost, which tells of events, and seven in the other.
    let exchange = |vhost: &Vhost, name: &str| {
        let arguments = &FieldTable::default();
        let (kind, durable, auto_delete, internal) = ("direct", true, false, false);
        let declare = ExchangeDeclare { name, kind, durable, auto_delete, internal, arguments };
        vhost.declare_exchange(&declare, &guest).map(drop).map_err(|error| error.to_string())
    };
    exchange(&root, "one").unwrap();
    exchange(&other, "two").unwrap();
    exchange(&other, "two").expect("it is there already");
    let refused = exchange(&other, "three").unwrap_err();
    assert_eq!(refused, "cannot declare exchange 'three' in vhost 'v': exchange limit of 17 is reached");
    // All that went with the vhost counts no more.
    broker.delete_vhost("v", ACTOR).unwrap();
    declare(&root, broker, "two").unwrap();
    for name in ["three", "four", "five", "six", "seven", "eight", "nine"] {
        exchange(&root, name).unwrap();
    }
    // What a restart finds counts.
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let broker = &fixture.broker;
    broker.services.node.set_limits_of_things(None, Some(2), None);
    let refused = declare(&broker.vhost("/").unwrap(), broker, "three").unwrap_err();
    assert_eq!(refused, "cannot declare queue 'three': queue limit in cluster (2) is reached");
}

#[test]
fn passwords_follow_a_rule() {
    let fixture = Fixture::new();
    let broker = &fixture.broker;
    let plain = |text: &str| Password::Plain(text.to_owned());
    let put = |name: &str, password: Password| {
        broker.put_user(name, &NewUser { password, tags: Vec::new() }, ACTOR).map_err(|error| error.to_string())
    };
    put("old", plain("x")).unwrap();
    broker.set_password_rule(&PasswordRule::BytesMin(8)).unwrap();
    let short = "minimum required password length is 8";
    assert_eq!(put("bob", plain("seven b")).unwrap_err(), short);
    assert_eq!(put("bob", plain("")).unwrap_err(), short);
    assert_eq!(put("bob", Password::None).unwrap_err(), short);
    assert!(broker.user("bob").is_none());
    put("bob", plain("long enough")).unwrap();
    assert_eq!(broker.set_password("bob", plain("short"), ACTOR).unwrap_err().to_string(), short);
    assert!(broker.user("bob").unwrap().accepts(b"long enough") && broker.user("old").unwrap().accepts(b"x"));
    // Hashes are not judged, and who has no password cannot have a bad one.
    put("hashed", Password::Hash { hash: String::new(), algorithm: None }).unwrap();
    put("bob", Password::None).unwrap();
    broker.set_password("old", Password::None, ACTOR).unwrap();
    // Nor is who the configuration brings.
    broker
        .seed_user(&DefaultUser { name: "first".to_owned(), password: "p".to_owned(), ..DefaultUser::default() })
        .unwrap();
    broker.set_password_rule(&PasswordRule::Matches("[0-9]".to_owned())).unwrap();
    let refused = put("ann", plain("long enough")).unwrap_err();
    assert_eq!(refused, "provided password does not match the validator regular expression");
    put("ann", plain("a1")).unwrap();
}

#[test]
fn bindings_to_the_log_survive() {
    let fixture = Fixture::new();
    let broker = &fixture.broker;
    let vhost = broker.vhost("/").unwrap();
    vhost.declare_log_exchange();
    vhost.declare_log_exchange();
    declare(&vhost, broker, "logs").unwrap();
    let arguments = &FieldTable::default();
    let key = BindingKey { source: log::EXCHANGE, routing_key: b"error", arguments, user: "guest" };
    vhost.bind_queue(&key, "logs", ConnectionId(1), &mut Effects::default()).unwrap();
    let (fixture, problems) = fixture.restart();
    assert_eq!(problems, Vec::<String>::new());
    let vhost = fixture.broker.vhost("/").unwrap();
    let mut effects = Effects::default();
    for level in ["info", "error"] {
        let line = log::LogLine { level, at_s: 5, content_type: "text/plain", text: level };
        vhost.publish_log_line(&line, &mut effects);
    }
    effects.carry_out();
    assert_eq!(vhost.queue("logs").unwrap().counts().ready, 1);
    let exchange = vhost.exchange(log::EXCHANGE).unwrap();
    assert!(exchange.durable && exchange.internal && !exchange.auto_delete);
}
