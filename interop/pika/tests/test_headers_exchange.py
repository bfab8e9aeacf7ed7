"""The headers exchange looks at a message's headers instead of its routing key."""

from helpers import channel_closes


def test_all(router):
    exchange = router.exchange("headers")
    router.bind("said", exchange, arguments={"x-match": "all", "format": "pdf", "pages": 3})
    router.bind("unsaid", exchange, arguments={"format": "pdf", "pages": 3})
    assert router.publish(exchange, headers={"format": "pdf", "pages": 3}) == ["said", "unsaid"]
    assert router.publish(exchange, headers={"format": "pdf", "pages": 3, "more": 1}) == [
        "said",
        "unsaid",
    ]
    assert router.publish(exchange, headers={"format": "pdf"}) == []
    assert router.publish(exchange, headers={"format": "PDF", "pages": 3}) == []
    # Values are compared with their types.
    assert router.publish(exchange, headers={"format": "pdf", "pages": "3"}) == []
    assert router.publish(exchange) == []


def test_any(router):
    exchange = router.exchange("headers")
    router.bind("q", exchange, arguments={"x-match": "any", "format": "pdf", "pages": 3})
    assert router.publish(exchange, headers={"format": "pdf", "pages": 9}) == ["q"]
    assert router.publish(exchange, headers={"pages": 3}) == ["q"]
    assert router.publish(exchange, headers={"format": "txt"}) == []
    assert router.publish(exchange, headers={}) == []


def test_x_headers_count_only_with_x(router):
    exchange = router.exchange("headers")
    for mode in ("all", "any", "all-with-x", "any-with-x"):
        router.bind(mode, exchange, arguments={"x-match": mode, "x-kind": "k", "plain": 1})
    assert router.publish(exchange, headers={"x-kind": "k", "plain": 1}) == [
        "all",
        "all-with-x",
        "any",
        "any-with-x",
    ]
    assert router.publish(exchange, headers={"x-kind": "k"}) == ["any-with-x"]
    assert router.publish(exchange, headers={"plain": 1}) == ["all", "any", "any-with-x"]


def test_presence_is_enough_for_none(router):
    exchange = router.exchange("headers")
    router.bind("q", exchange, arguments={"x-match": "all", "trace": None})
    assert router.publish(exchange, headers={"trace": "anything"}) == ["q"]
    assert router.publish(exchange, headers={"trace": 0}) == ["q"]
    assert router.publish(exchange, headers={"other": 1}) == []


def test_without_conditions(router):
    exchange = router.exchange("headers")
    router.bind("all of nothing", exchange, arguments={"x-match": "all"})
    router.bind("any of nothing", exchange, arguments={"x-match": "any"})
    assert router.publish(exchange, headers={"a": 1}) == ["all of nothing"]
    assert router.publish(exchange) == ["all of nothing"]


def test_one_queue_with_several_bindings(router):
    exchange = router.exchange("headers")
    router.bind("q", exchange, arguments={"kind": "a"})
    router.bind("q", exchange, arguments={"kind": "b"})
    assert router.publish(exchange, headers={"kind": "a"}) == ["q"]
    assert router.publish(exchange, headers={"kind": "b"}) == ["q"]
    # To unbind one takes the same arguments.
    router.unbind("q", exchange, arguments={"kind": "a"})
    assert router.publish(exchange, headers={"kind": "a"}) == []
    assert router.publish(exchange, headers={"kind": "b"}) == ["q"]


def test_x_match_must_be_known(connection, router):
    exchange = router.exchange("headers")
    router.bind("q", exchange)
    text = (
        'PRECONDITION_FAILED - Invalid x-match field value <<"most">>; '
        "expected all, any, all-with-x, or any-with-x"
    )
    refused = connection.channel()
    with channel_closes(refused, 406, text):
        refused.queue_bind(router.queues["q"], exchange, arguments={"x-match": "most"})
