//! Selectors against examples, and their logic against its tables.

use leveret_codec::table::FieldTable;
use proptest::prelude::*;

use super::*;

fn headers() -> FieldTable {
    let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
    let mut table = FieldTable::default();
    for (name, value) in [
        ("JMSType", text("car")),
        ("colour", text("blue")),
        ("quoted", text("'blue")),
        ("under", text("bl_ue")),
        ("weight", FieldValue::I32(2501)),
        ("WeIgHt", FieldValue::I64(2)),
        ("small", FieldValue::I8(-3)),
        ("float", FieldValue::F64(0.03)),
        ("yes", FieldValue::Bool(true)),
        ("no", FieldValue::Bool(false)),
        ("void", FieldValue::Void),
        ("when", FieldValue::Timestamp(5)),
    ] {
        table.push(name.as_bytes(), value);
    }
    table
}

fn evaluate(selector: &str) -> Option<bool> {
    let mut encoded = Vec::new();
    headers().encode(&mut encoded);
    let selector = Selector::parse(format!("{selector}.").as_bytes()).unwrap_or_else(|| panic!("{selector}"));
    let headers = TableRef::from_raw(&encoded);
    let truth = selector.0.evaluate(headers).as_truth();
    assert_eq!(selector.selects(headers), truth == Some(true));
    truth
}

/// `#name` stands for a header.
fn spelled(selector: &str) -> String {
    let mut out = String::new();
    let mut rest = selector;
    while let Some((before, after)) = rest.split_once('#') {
        let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        out.push_str(&format!("{before}{{'ident',<<\"{name}\">>}}"));
        rest = after;
    }
    out + rest
}

#[test]
fn selectors_say_what_they_say() {
    let examples = [
        ("{'=',#JMSType,<<\"car\">>}", Some(true)),
        ("#no", Some(false)),
        ("{'not',#no}", Some(true)),
        ("true", Some(true)),
        ("{'=',#weight,2501}", Some(true)),
        ("{'=',#weight,2501.0}", Some(true)),
        ("{'=',2,#WeIgHt}", Some(true)),
        ("{'=',#float,0.03}", Some(true)),
        ("{'>',#weight,2500}", Some(true)),
        ("{'>=',#weight,2502}", Some(false)),
        ("{'<',#small,0}", Some(true)),
        ("{'<=',#weight,2501}", Some(true)),
        ("{'<>',#colour,<<\"blue\">>}", Some(false)),
        ("{'between',#weight,2500,2501}", Some(true)),
        ("{'not_between',16,17,18}", Some(true)),
        ("{'between',#weight,{'-',2501,1},{'*',2,1300}}", Some(true)),
        ("{'like',#colour,<<\"bl%\">>,'no_escape'}", Some(true)),
        ("{'like',#under,<<\"b_!_ue\">>,<<\"!\">>}", Some(true)),
        ("{'not_like',#colour,<<\"l%\">>,'no_escape'}", Some(true)),
        ("{'like',#quoted,<<\"'bl%\">>,no_escape}", Some(true)),
        ("{'in',#colour,[<<\"green\">>,<<\"blue\">>]}", Some(true)),
        ("{'not_in',#colour,[<<\"green\">>,<<\"blue\">>]}", Some(false)),
        ("{'in',#colour,[]}", Some(false)),
        ("{'is_null',#missing}", Some(true)),
        ("{'not_null',#missing}", Some(false)),
        ("{'not_null',#no}", Some(true)),
        ("{'=',{'/',#weight,2},1250.5}", Some(true)),
        ("{'=',{'-',#small},3}", Some(true)),
        ("{'=',{'+',#small},-3}", Some(true)),
        ("{'=',{'+',9223372036854775807,1},9223372036854775808.0}", Some(true)),
        ("{'>',{'/',#weight,0},1000000}", Some(true)),
        ("{'<',{'/',#small,0},-1000000}", Some(true)),
        ("{'=',{'/',0,0},0}", None),
        ("{'or',{'and',{'like',#colour,<<\"bl%\">>,'no_escape'},{'>',#weight,2500}},#no}", Some(true)),
        ("{'and',#yes,#yes,#no}", Some(false)),
    ];
    for (selector, expected) in examples {
        assert_eq!(evaluate(&spelled(selector)), expected, "{selector}");
    }
}

#[test]
fn values_of_different_kinds_have_erlang_s_order() {
    for selector in
        ["{'>',#colour,5}", "{'<>',#colour,5}", "{'<',#weight,#yes}", "{'<',#yes,#colour}", "{'<',#no,#yes}"]
    {
        assert_eq!(evaluate(&spelled(selector)), Some(true), "{selector}");
    }
    assert_eq!(evaluate(&spelled("{'=',#colour,5}")), Some(false));
    // As a pattern of Erlang matches, and not as numbers compare.
    assert_eq!(evaluate("{'in',1,[1.0]}"), Some(false));
}

#[test]
fn what_is_said_of_nothing_is_unknown() {
    for selector in [
        "#missing",
        "{'not',#missing}",
        "{'=',#missing,5}",
        "{'<>',#missing,5}",
        "{'=',#missing,#missing}",
        "{'like',#missing,<<\"%\">>,'no_escape'}",
        "{'not_like',#missing,<<\"a\">>,'no_escape'}",
        "{'in',#missing,[<<\"a\">>]}",
        "{'not_in',#missing,[<<\"a\">>]}",
        "{'between',#missing,1,2}",
        "{'between',1,#missing,2}",
        "{'<',{'+',#missing,1},5}",
        "{'-',#missing}",
        // Types that JMS does not have.
        "{'=',#void,1}",
        "{'=',#when,5}",
        // Where RabbitMQ fails.
        "{'-',#colour}",
        "{'>',{'+',#colour,1},0}",
        "{'like',#weight,<<\"%\">>,'no_escape'}",
        "{'not',#weight}",
    ] {
        assert_eq!(evaluate(&spelled(selector)), None, "{selector}");
    }
}

#[test]
fn what_is_no_selector_is_refused() {
    for text in [
        "",
        "{'=',1,1}",
        "x = 1",
        "foo.",
        "{}.",
        "[].",
        "{'=',1}.",
        "{'ident',name}.",
        "{'foo',1,1}.",
        "{1,2,3}.",
        "{'in',1,2}.",
        "{'in',1,[{'ident',<<\"a\">>}]}.",
        "{'like',1,2,'no_escape'}.",
        "{'like',1,<<\"a\">>,<<\"!!\">>}.",
        "{'like',1,<<\"a\">>,other}.",
        "{'between',1,2}.",
        "{'not'}.",
        "{'and',true}.",
    ] {
        assert!(Selector::parse(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn deep_conditions_fit_the_stack() {
    let levels = crate::limits::SELECTOR_DEPTH_MAX - 1;
    let deep = format!("{}#yes{}", "{'and',true,".repeat(levels), "}".repeat(levels));
    assert_eq!(evaluate(&spelled(&deep)), Some(true));
    let deeper = format!("{{'and',true,{}}}.", spelled(&deep));
    assert!(Selector::parse(deeper.as_bytes()).is_none());
}

fn truth() -> impl Strategy<Value = (Option<bool>, String)> {
    prop::sample::select(vec![(Some(true), "#yes"), (Some(false), "#no"), (None, "#missing")])
        .prop_map(|(truth, name)| (truth, name.to_owned()))
}

/// Conditions with what they come to in three-valued logic.
fn conditions() -> impl Strategy<Value = (Option<bool>, String)> {
    truth().prop_recursive(5, 40, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|(truth, text)| (truth.map(|truth| !truth), format!("{{'not',{text}}}"))),
            pair.clone().prop_map(|((a, left), (b, right))| {
                let both =
                    if a == Some(false) || b == Some(false) { Some(false) } else { a.zip(b).map(|(a, b)| a && b) };
                (both, format!("{{'and',{left},{right}}}"))
            }),
            pair.prop_map(|((a, left), (b, right))| {
                let one = if a == Some(true) || b == Some(true) { Some(true) } else { a.zip(b).map(|(a, b)| a || b) };
                (one, format!("{{'or',{left},{right}}}"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn conditions_follow_three_valued_logic((expected, selector) in conditions()) {
        prop_assert_eq!(evaluate(&spelled(&selector)), expected);
    }

    #[test]
    fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(selector) = Selector::parse(&text) {
            selector.selects(TableRef::EMPTY);
        }
    }
}
