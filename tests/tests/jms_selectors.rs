//! x-jms-topic: bindings with a compiled selector, as the RabbitMQ JMS client makes them.

use leveret_tests::prelude::*;

const KIND: &str = "x-jms-topic";

fn selector(text: &str) -> Table {
    table([("rjms_erlang_selector", text.into())])
}

fn bind(queue: &str, exchange: &str, key: &str, text: &str) -> Method {
    methods::queue_bind(queue, exchange, key, &[], &selector(text))
}

/// `#name` stands for a header.
fn spelled(text: &str) -> String {
    let mut parts = text.split('#');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        out.push_str(&format!("{{'ident',<<\"{name}\">>}}{rest}"));
    }
    out
}

fn headers() -> Table {
    table([
        ("colour", "blue".into()),
        ("likevar", "bl_ue".into()),
        ("weight", 2501.into()),
        ("long", Value::I64(1 << 40)),
        ("float", Value::F64(0.03)),
        ("yes", Value::Bool(true)),
        ("no", Value::Bool(false)),
    ])
}

/// Whether a message with [`headers`] is selected, by each of the selectors.
fn selected(channel: &Channel, names: &mut Names, selectors: &[&str]) -> Vec<bool> {
    let exchange = names.exchange("selected");
    channel.exchange(&exchange, KIND, &[], &none());
    let bound = |text: &&str| {
        let queue = channel.exclusive_queue();
        channel.rpc(bind(&queue, &exchange, "a key", &spelled(text))).finish();
        queue
    };
    let queues: Vec<String> = selectors.iter().map(bound).collect();
    channel.publish_with(&exchange, "another key", &[], &Props::with_headers(headers()), "text");
    queues.iter().map(|queue| channel.drain(queue).len() == 1).collect()
}

#[test]
fn a_selector_that_is_true_selects() {
    let (channel, mut names) = (open_channel(), Names::new());
    let selectors = [
        "true.",
        "#yes.",
        "{'not',#no}.",
        "{'=',#colour,<<\"blue\">>}.",
        "{'<>',#colour,<<\"red\">>}.",
        "{'=',#weight,2501}.",
        "{'=',2501,#weight}.",
        "{'=',#float,0.03}.",
        "{'>',#weight,2500}.",
        "{'<',#weight,2501.5}.",
        "{'>=',#long,1099511627776}.",
        "{'<=',#weight,2501}.",
        "{'between',#weight,0,2501}.",
        "{'not_between',16,17,18}.",
        "{'like',#colour,<<\"bl%\">>,'no_escape'}.",
        "{'like',#colour,<<\"b_ue\">>,'no_escape'}.",
        "{'like',#likevar,<<\"b_!_ue\">>,<<\"!\">>}.",
        "{'not_like',#colour,<<\"l%\">>,'no_escape'}.",
        "{'in',#colour,[<<\"green\">>,<<\"blue\">>]}.",
        "{'not_in',#colour,[<<\"green\">>]}.",
        "{'is_null',#missing}.",
        "{'not_null',#colour}.",
        "{'and',#yes,{'>',#weight,{'-',{'*',500,5},1}}}.",
        "{'or',#no,#yes}.",
        "{'or',#missing,#yes}.",
        "{'=',{'/',#weight,2},1250.5}.",
        "{'=',{'-',#weight},-2501}.",
        // Different kinds of values stand in Erlang's order.
        "{'>',#colour,5}.",
        " { 'or' , true ,\n false } . ",
    ];
    assert_eq!(selected(&channel, &mut names, &selectors), [true; 29]);
}

#[test]
fn a_selector_that_is_false_or_unknown_does_not() {
    let (channel, mut names) = (open_channel(), Names::new());
    let selectors = [
        "false.",
        "#no.",
        "{'not',#yes}.",
        "{'=',#colour,<<\"BLUE\">>}.",
        "{'and',#yes,#no}.",
        "{'and',#yes,#missing}.",
        "#missing.",
        "{'not',#missing}.",
        "{'=',#missing,#missing}.",
        "{'<>',#missing,5}.",
        "{'in',#missing,[<<\"a\">>]}.",
        "{'not_in',#missing,[<<\"a\">>]}.",
        "{'like',#missing,<<\"%\">>,'no_escape'}.",
        "{'not_like',#missing,<<\"a\">>,'no_escape'}.",
        "{'like',#colour,<<\"lue\">>,'no_escape'}.",
        "{'between',#missing,1,2}.",
        "{'=',#Weight,2501}.",
        "{'not',#weight}.",
        "#colour.",
    ];
    assert_eq!(selected(&channel, &mut names, &selectors), [false; 19]);
}

#[test]
fn what_would_end_rabbitmq_s_channel_selects_nothing() {
    if peer() {
        // An internal error each.
        return;
    }
    let (channel, mut names) = (open_channel(), Names::new());
    let selectors = [
        "{'=',{'+',#colour,1},1}.",
        "{'-',#colour}.",
        "{'like',#weight,<<\"%\">>,'no_escape'}.",
        "{'<',{'/',#weight,0},1}.",
    ];
    assert_eq!(selected(&channel, &mut names, &selectors), [false; 4]);
}

#[test]
fn a_binding_needs_a_selector() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("refused");
    channel.exchange(&exchange, KIND, &[], &none());
    let queue = channel.exclusive_queue();
    if peer() {
        // It means to say the same, and fails with an internal error.
        return;
    }
    let text = |selector: &str| {
        format!("cannot parse selector '{selector}' binding destination '{queue}' to exchange '{exchange}'")
    };
    for selector in ["colour = 'blue'", "{'=',1,1}", "{'=',1,", "{'foo',1,2}.", ""] {
        channel.refuses(bind(&queue, &exchange, "", selector), 406, &text(selector));
    }
    channel.refuses(methods::queue_bind(&queue, &exchange, "k", &[], &none()), 406, &text(""));
}

#[test]
fn deep_selectors_harm_nobody() {
    let (channel, mut names) = (open_channel(), Names::new());
    if peer() {
        return;
    }
    let exchange = names.exchange("deep");
    channel.exchange(&exchange, KIND, &[], &none());
    let queue = channel.exclusive_queue();
    let deep = |levels: usize| format!("{}true{}.", "{'not',{'not',".repeat(levels), "}}".repeat(levels));
    channel.rpc(bind(&queue, &exchange, "", &deep(50))).finish();
    channel.publish(&exchange, "", "text");
    assert_eq!(channel.drain(&queue), ["text"]);
    let text = deep(1_500);
    let refusal = format!("cannot parse selector '{text}' binding destination '{queue}' to exchange '{exchange}'");
    // A reply text has 255 octets.
    let cut = refusal.chars().take(100).collect::<String>();
    channel.send(bind(&queue, &exchange, "", &text));
    let mut close = channel.expect(ids::CHANNEL_CLOSE);
    assert_eq!(close.args.short(), 406);
    assert!(close.args.shortstr().contains(&cut));
}

#[test]
fn a_binding_goes_with_its_selector() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("unbound");
    channel.exchange(&exchange, KIND, &[], &none());
    let queue = channel.exclusive_queue();
    for (key, text) in [("a", "{'=',#colour,<<\"blue\">>}."), ("b", "{'>',#weight,1}.")] {
        channel.rpc(bind(&queue, &exchange, key, &spelled(text))).finish();
    }
    let publish = || {
        channel.publish_with(&exchange, "", &[], &Props::with_headers(headers()), "text");
        channel.drain(&queue)
    };
    assert_eq!(publish(), ["text"]);
    for (key, text, left) in [("a", "{'=',#colour,<<\"blue\">>}.", &["text"][..]), ("b", "{'>',#weight,1}.", &[])] {
        let unbind = methods::queue_unbind(&queue, &exchange, key, &selector(&spelled(text)));
        channel.rpc(unbind).finish();
        assert_eq!(publish(), texts(left));
    }
}

#[test]
fn the_same_publish_is_judged_each_time() {
    let (channel, mut names) = (open_channel(), Names::new());
    let exchange = names.exchange("again");
    channel.exchange(&exchange, KIND, &[], &none());
    let queue = channel.exclusive_queue();
    channel.rpc(bind(&queue, &exchange, "k", &spelled("{'>',#n,3}."))).finish();
    for number in 0..7 {
        let props = Props::with_headers(table([("n", number.into())]));
        channel.publish_with(&exchange, "k", &[], &props, &number.to_string());
    }
    channel.publish(&exchange, "k", "none");
    assert_eq!(channel.drain(&queue), ["4", "5", "6"]);
}

#[test]
fn selectors_come_back_after_a_restart() {
    const TEST: &str = "selectors_come_back_after_a_restart";
    // The RabbitMQ that tests start has no such type.
    if peer() || skip_without_home(TEST) {
        return;
    }
    let home = Home::new();
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    channel.exchange(TEST, KIND, &[Durable], &none());
    channel.declare(TEST, &[Durable], &none());
    channel.rpc(bind(TEST, TEST, "k", &spelled("{'=',#colour,<<\"blue\">>}."))).finish();
    seal(&channel);
    broker.end(Stop::Kill);
    let broker = home.start();
    let channel = Connection::open(&broker).channel(1);
    for colour in ["blue", "red"] {
        channel.publish_with(TEST, "", &[], &Props::with_headers(table([("colour", colour.into())])), colour);
    }
    assert_eq!(channel.drain(TEST), ["blue"]);
}
