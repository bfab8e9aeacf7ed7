//! Direct and fanout exchanges, bindings between exchanges, alternate exchanges, CC and BCC.

use leveret_tests::prelude::*;

struct Fixture {
    channel: Channel,
    names: Names,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { channel: open_channel(), names: Names::new() }
    }

    fn exchange(&mut self, kind: &str) -> String {
        self.exchange_with(kind, &none())
    }

    fn exchange_with(&mut self, kind: &str, arguments: &Table) -> String {
        let exchange = self.names.exchange(kind);
        self.channel.exchange(&exchange, kind, &[], arguments);
        exchange
    }

    fn queue(&self, exchange: &str, key: &str) -> String {
        let queue = self.channel.exclusive_queue();
        self.channel.bind(&queue, exchange, key);
        queue
    }

    fn bind_exchange(&self, destination: &str, source: &str, key: &str) {
        self.channel.rpc(methods::exchange_bind(destination, source, key, &[], &none())).finish();
    }

    /// Publishes mandatorily and tells whether the message came back.
    fn is_returned(&self, exchange: &str, key: &str) -> bool {
        self.channel.publish_with(exchange, key, &[Mandatory], &Props::default(), "mandatory");
        self.channel.sync();
        self.channel.next(SILENCE).is_some_and(|incoming| incoming.id == ids::BASIC_RETURN)
    }
}

fn alternate(exchange: &str) -> Table {
    table([("alternate-exchange", exchange.into())])
}

// Simple exchanges

#[test]
fn the_default_exchange_routes_by_queue_name() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    let (one, other) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.publish("", &one, "to one");
    channel.publish("", &other, "to the other");
    channel.publish("", "leveret-missing", "to nobody");
    assert_eq!(channel.drain(&one), ["to one"]);
    assert_eq!(channel.drain(&other), ["to the other"]);
}

#[test]
fn direct_compares_the_whole_key() {
    let mut fixture = Fixture::new();
    let exchange = fixture.exchange("direct");
    let (one, other, empty) =
        (fixture.queue(&exchange, "a"), fixture.queue(&exchange, "a.b"), fixture.queue(&exchange, ""));
    for key in ["a", "a.b", "", "A", "#"] {
        fixture.channel.publish(&exchange, key, key);
    }
    assert_eq!(fixture.channel.drain(&one), ["a"]);
    assert_eq!(fixture.channel.drain(&other), ["a.b"]);
    assert_eq!(fixture.channel.drain(&empty), [""]);
}

#[test]
fn several_queues_may_have_the_same_key() {
    let mut fixture = Fixture::new();
    let exchange = fixture.exchange("direct");
    let queues = [fixture.queue(&exchange, "k"), fixture.queue(&exchange, "k"), fixture.queue(&exchange, "k")];
    fixture.channel.publish(&exchange, "k", "everybody");
    for queue in queues {
        assert_eq!(fixture.channel.drain(&queue), ["everybody"]);
    }
}

#[test]
fn fanout_ignores_the_key() {
    let mut fixture = Fixture::new();
    let exchange = fixture.exchange("fanout");
    let (one, other) = (fixture.queue(&exchange, "a"), fixture.queue(&exchange, "b"));
    fixture.channel.bind(&one, &exchange, "a second binding");
    fixture.channel.publish(&exchange, "c", "everybody");
    assert_eq!(fixture.channel.drain(&one), ["everybody"], "once for each queue");
    assert_eq!(fixture.channel.drain(&other), ["everybody"]);
}

#[test]
fn a_delivery_names_exchange_and_key_of_the_publish() {
    let mut fixture = Fixture::new();
    let (source, target) = (fixture.exchange("topic"), fixture.exchange("fanout"));
    fixture.bind_exchange(&target, &source, "#");
    let queue = fixture.queue(&target, "binding key");
    fixture.channel.publish(&source, "publish.key", "x");
    let message = fixture.channel.get(&queue).unwrap();
    assert_eq!((message.exchange, message.routing_key), (source, "publish.key".to_owned()));
}

// Exchanges bound to exchanges

#[test]
fn every_exchange_on_the_way_routes_by_its_own_type() {
    let mut fixture = Fixture::new();
    let (direct, topic) = (fixture.exchange("direct"), fixture.exchange("topic"));
    fixture.bind_exchange(&topic, &direct, "a.b");
    fixture.bind_exchange(&topic, &direct, "c.d");
    let queue = fixture.queue(&topic, "a.*");
    for key in ["a.b", "c.d", "a.x"] {
        fixture.channel.publish(&direct, key, key);
    }
    assert_eq!(fixture.channel.drain(&queue), ["a.b"]);
}

#[test]
fn many_ways_to_a_queue_deliver_once() {
    let mut fixture = Fixture::new();
    let (source, left, right) = (fixture.exchange("fanout"), fixture.exchange("fanout"), fixture.exchange("fanout"));
    fixture.bind_exchange(&left, &source, "");
    fixture.bind_exchange(&right, &source, "");
    let queue = fixture.queue(&left, "");
    fixture.channel.bind(&queue, &right, "");
    fixture.channel.bind(&queue, &source, "");
    fixture.channel.publish(&source, "", "once");
    assert_eq!(fixture.channel.drain(&queue), ["once"]);
}

#[test]
fn loops_of_exchanges_end() {
    let mut fixture = Fixture::new();
    let (one, other) = (fixture.exchange("fanout"), fixture.exchange("fanout"));
    fixture.bind_exchange(&one, &other, "");
    fixture.bind_exchange(&other, &one, "");
    fixture.bind_exchange(&one, &one, "");
    let queue = fixture.queue(&other, "");
    fixture.channel.publish(&one, "", "from one");
    fixture.channel.publish(&other, "", "from the other");
    assert_eq!(fixture.channel.drain(&queue), ["from one", "from the other"]);
}

#[test]
fn a_long_chain_of_exchanges_is_followed() {
    let mut fixture = Fixture::new();
    let chain: Vec<String> = (0..50).map(|_| fixture.exchange("fanout")).collect();
    for pair in chain.windows(2) {
        fixture.bind_exchange(&pair[1], &pair[0], "");
    }
    let queue = fixture.queue(&chain[49], "");
    fixture.channel.publish(&chain[0], "", "through fifty");
    assert_eq!(fixture.channel.drain(&queue), ["through fifty"]);
}

// Alternate exchanges

#[test]
fn what_matches_nothing_goes_to_the_alternate_exchange() {
    let mut fixture = Fixture::new();
    let fallback = fixture.exchange("fanout");
    let exchange = fixture.exchange_with("direct", &alternate(&fallback));
    let (queue, unrouted) = (fixture.queue(&exchange, "known"), fixture.queue(&fallback, ""));
    fixture.channel.publish(&exchange, "known", "routed");
    fixture.channel.publish(&exchange, "unknown", "unrouted");
    assert_eq!(fixture.channel.drain(&queue), ["routed"]);
    let message = fixture.channel.get(&unrouted).unwrap();
    assert_eq!(
        (message.text(), message.exchange, message.routing_key),
        ("unrouted".into(), exchange, "unknown".into())
    );
    assert!(fixture.channel.get(&unrouted).is_none());
}

#[test]
fn a_message_that_found_an_alternate_is_not_returned() {
    let mut fixture = Fixture::new();
    let fallback = fixture.exchange("fanout");
    let exchange = fixture.exchange_with("direct", &alternate(&fallback));
    assert!(fixture.is_returned(&exchange, "key"), "no queue at the end of it");
    let queue = fixture.queue(&fallback, "");
    assert!(!fixture.is_returned(&exchange, "key"));
    assert_eq!(fixture.channel.drain(&queue), ["mandatory"]);
}

#[test]
fn a_missing_alternate_exchange_is_skipped() {
    let mut fixture = Fixture::new();
    let exchange = fixture.exchange_with("direct", &alternate("leveret-missing"));
    assert!(fixture.is_returned(&exchange, "key"));
}

#[test]
fn an_alternate_exchange_may_have_an_alternate() {
    let mut fixture = Fixture::new();
    let last = fixture.exchange("fanout");
    let middle = fixture.exchange_with("direct", &alternate(&last));
    let first = fixture.exchange_with("direct", &alternate(&middle));
    let queue = fixture.queue(&last, "");
    fixture.channel.publish(&first, "key", "at last");
    assert_eq!(fixture.channel.drain(&queue), ["at last"]);
}

#[test]
fn cycles_of_alternates_end_unrouted() {
    let mut fixture = Fixture::new();
    let (one, other) = (fixture.names.exchange("cycle"), fixture.names.exchange("cycle"));
    fixture.channel.exchange(&one, "direct", &[], &alternate(&other));
    fixture.channel.exchange(&other, "direct", &[], &alternate(&one));
    assert!(fixture.is_returned(&one, "key"));
    let itself = fixture.names.exchange("itself");
    fixture.channel.exchange(&itself, "direct", &[], &alternate(&itself));
    assert!(fixture.is_returned(&itself, "key"));
}

#[test]
fn an_alternate_works_inside_a_chain_of_exchanges() {
    let mut fixture = Fixture::new();
    let fallback = fixture.exchange("fanout");
    let target = fixture.exchange_with("direct", &alternate(&fallback));
    let source = fixture.exchange("fanout");
    fixture.bind_exchange(&target, &source, "");
    let unrouted = fixture.queue(&fallback, "");
    fixture.channel.publish(&source, "nobody's", "caught");
    assert_eq!(fixture.channel.drain(&unrouted), ["caught"]);
}

#[test]
fn an_exchange_as_destination_keeps_the_alternate_away() {
    let mut fixture = Fixture::new();
    let fallback = fixture.exchange("fanout");
    let source = fixture.exchange_with("fanout", &alternate(&fallback));
    let dead_end = fixture.exchange("fanout");
    fixture.bind_exchange(&dead_end, &source, "");
    let unrouted = fixture.queue(&fallback, "");
    fixture.channel.publish(&source, "", "into the dead end");
    assert_eq!(fixture.channel.drain(&unrouted), texts(&[]));
}

// CC and BCC

#[test]
fn cc_and_bcc_are_further_routing_keys() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    let [to, cc, bcc] = [channel.exclusive_queue(), channel.exclusive_queue(), channel.exclusive_queue()];
    let headers = table([("CC", [cc.as_str(), &to].into()), ("BCC", [bcc.as_str()].into()), ("other", 1.into())]);
    channel.publish_with("", &to, &[], &Props::with_headers(headers), "to three");
    for queue in [&to, &cc, &bcc] {
        let message = channel.get(queue).unwrap();
        assert_eq!(message.routing_key, to, "the key of the publish");
        let headers = message.props.headers.unwrap();
        assert_eq!(headers.get("CC"), Some(&[cc.as_str(), &to].into()), "CC stays");
        assert_eq!(headers.get("BCC"), None, "BCC is taken out");
        assert_eq!(headers.get("other"), Some(&1.into()));
        assert!(channel.get(queue).is_none(), "one copy for each queue");
    }
}

#[test]
fn cc_keys_are_routed_by_any_exchange() {
    let mut fixture = Fixture::new();
    let exchange = fixture.exchange("topic");
    let queue = fixture.queue(&exchange, "copy.*");
    let headers = table([("CC", ["copy.one", "copy.two"].into())]);
    fixture.channel.publish_with(&exchange, "original", &[], &Props::with_headers(headers), "once");
    assert_eq!(fixture.channel.drain(&queue), ["once"]);
}

#[test]
fn only_upper_case_names_are_cc_and_bcc() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    let queue = channel.exclusive_queue();
    let headers = table([("cc", [queue.as_str()].into()), ("Bcc", [queue.as_str()].into())]);
    channel.publish_with("", "leveret-missing", &[], &Props::with_headers(headers), "lost");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn a_routed_cc_satisfies_mandatory() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    let queue = channel.exclusive_queue();
    let headers = table([("CC", [queue.as_str()].into())]);
    channel.publish_with("", "leveret-missing", &[Mandatory], &Props::with_headers(headers), "found");
    assert_eq!(channel.drain(&queue), ["found"]);
    channel.expect_silence();
}

#[test]
fn entries_of_cc_that_are_no_strings_are_skipped() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    let queue = channel.exclusive_queue();
    let copies = Value::Array(vec![1.into(), Value::Void, queue.as_str().into()]);
    let headers = table([("CC", copies.clone())]);
    channel.publish_with("", "leveret-missing", &[], &Props::with_headers(headers), "found");
    let message = channel.get(&queue).unwrap();
    assert_eq!(message.props.headers.unwrap().get("CC"), Some(&copies));
}

#[test]
fn cc_and_bcc_must_be_arrays() {
    let fixture = Fixture::new();
    let channel = &fixture.channel;
    for (name, value, kind) in [("CC", Value::from("key"), "longstr"), ("BCC", 1.into(), "signedint")] {
        let props = Props::with_headers(table([(name, value)]));
        let text = format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
        channel.refuses(methods::publish("", "key", &[], &props, b"x"), 406, &text);
    }
}
