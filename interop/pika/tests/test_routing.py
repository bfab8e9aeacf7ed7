"""Which queues a message goes to: default, direct, fanout and topic exchanges."""

import pytest


def test_direct_compares_the_key(router):
    exchange = router.exchange("direct")
    router.bind("red", exchange, "red")
    router.bind("warm", exchange, "red")
    router.bind("warm", exchange, "orange")
    assert router.publish(exchange, "red") == ["red", "warm"]
    assert router.publish(exchange, "orange") == ["warm"]
    # No wildcards, no case folding, no prefixes.
    for key in ("", "Red", "re", "reds", "*", "#"):
        assert router.publish(exchange, key) == []
    router.unbind("warm", exchange, "red")
    assert router.publish(exchange, "red") == ["red"]


def test_fanout_ignores_the_key(router):
    exchange = router.exchange("fanout")
    router.bind("a", exchange, "some key")
    router.bind("b", exchange)
    assert router.publish(exchange, "another") == ["a", "b"]
    assert router.publish(exchange) == ["a", "b"]


def test_the_default_exchange_knows_every_queue(router):
    exchange = router.exchange("direct")
    router.bind("a", exchange)
    assert router.publish("", router.queues["a"]) == ["a"]
    assert router.publish("", router.queues["a"] + "x") == []


def test_one_copy_for_a_queue_however_many_bindings_match(router):
    exchange = router.exchange("topic")
    for pattern in ("#", "a.#", "a.b", "*.b"):
        router.bind("q", exchange, pattern)
    assert router.publish(exchange, "a.b") == ["q"]


def test_binding_twice_is_binding_once(router):
    exchange = router.exchange("direct")
    router.bind("q", exchange, "key")
    router.bind("q", exchange, "key")
    router.unbind("q", exchange, "key")
    assert router.publish(exchange, "key") == []


TOPICS = {
    # pattern: (matches, does not match)
    "#": (["", "a", "a.b.c", "."], []),
    "*": (["a"], ["", "a.b"]),
    "": ([""], ["a", "."]),
    "a.b": (["a.b"], ["a", "a.b.c", "a.B"]),
    "a.*": (["a.b", "a."], ["a", "a.b.c", "b.a"]),
    "a.#": (["a", "a.b", "a.b.c"], ["b", "ab"]),
    "#.a": (["a", "b.a", "c.b.a"], ["a.b", ""]),
    "a.#.b": (["a.b", "a.c.b", "a.c.d.b"], ["a", "b", "a.b.c"]),
    "a.*.#": (["a.b", "a.b.c"], ["a"]),
    "*.*": (["a.b", "."], ["a", "a.b.c"]),
    "*.#": (["a", "a.b"], [""]),
    "#.#": (["", "a", "a.b"], []),
    "*.stock.#": (["us.stock", "us.stock.nyse.ibm"], ["stock", "us.eu.stock"]),
    "a*": (["a*"], ["ab", "a"]),
}


@pytest.mark.parametrize("pattern", TOPICS)
def test_topic_patterns(router, pattern):
    exchange = router.exchange("topic")
    router.bind("q", exchange, pattern)
    matching, others = TOPICS[pattern]
    for key in matching:
        assert router.publish(exchange, key) == ["q"], key
    for key in others:
        assert router.publish(exchange, key) == [], key


def test_many_topic_bindings_side_by_side(router):
    exchange = router.exchange("topic")
    for pattern in TOPICS:
        router.bind(f"[{pattern}]", exchange, pattern)
    matching = ["#", "a.b", "a.*", "a.#", "a.#.b", "a.*.#", "*.*", "*.#", "#.#"]
    assert router.publish(exchange, "a.b") == sorted(f"[{pattern}]" for pattern in matching)
    for pattern in TOPICS:
        router.unbind(f"[{pattern}]", exchange, pattern)
    assert router.publish(exchange, "a.b") == []
