"""Exchanges that pass messages on: to bound exchanges, or to an alternate one."""

from pika import BasicProperties
from pika.exchange_type import ExchangeType

from helpers import channel_closes


def test_an_exchange_feeds_another(router, channel):
    source, destination = router.exchange("topic"), router.exchange("direct")
    channel.exchange_bind(destination, source, "logs.#")
    router.bind("direct", destination, "logs.error")
    router.bind("own", source, "#")
    # The second exchange judges by the same key.
    assert router.publish(source, "logs.error") == ["direct", "own"]
    assert router.publish(source, "logs.info") == ["own"]
    # It does not work backwards.
    assert router.publish(destination, "logs.error") == ["direct"]
    channel.exchange_unbind(destination, source, "logs.#")
    assert router.publish(source, "logs.error") == ["own"]


def test_loops_end_and_give_one_copy(router, channel):
    first, second = router.exchange("fanout"), router.exchange("fanout")
    channel.exchange_bind(second, first)
    channel.exchange_bind(first, second)
    channel.exchange_bind(first, first)
    assert router.publish(first) == []
    router.bind("a", first)
    router.bind("b", second)
    router.bind("both", first)
    router.bind("both", second)
    assert router.publish(first) == ["a", "b", "both"]
    assert router.publish(second) == ["a", "b", "both"]


def test_the_alternate_exchange_takes_what_is_left(router):
    rest = router.exchange("fanout")
    exchange = router.exchange("direct", arguments={"alternate-exchange": rest})
    router.bind("known", exchange, "known")
    # With no queue behind it the message counts as unroutable after all.
    assert router.publish(exchange, "unknown") == []
    router.bind("rest", rest)
    assert router.publish(exchange, "known") == ["known"]
    assert router.publish(exchange, "unknown") == ["rest"]


def test_alternate_exchanges_in_a_row_and_in_a_ring(router, channel, unique):
    names = [unique(f"ring{number}") for number in range(3)]
    for number, name in enumerate(names):
        following = names[(number + 1) % 3]
        channel.exchange_declare(
            name, ExchangeType.direct, arguments={"alternate-exchange": following}
        )
    router.bind("last", names[2], "key")
    assert router.publish(names[0], "key") == ["last"]
    assert router.publish(names[0], "no one's") == []


def test_an_alternate_exchange_that_does_not_exist(router, unique):
    arguments = {"alternate-exchange": unique("never-declared")}
    exchange = router.exchange("direct", arguments=arguments)
    assert router.publish(exchange, "any") == []


def test_an_internal_exchange_is_fed_by_exchanges_only(connection, router, channel):
    front, hidden = router.exchange("direct"), router.exchange("fanout", internal=True)
    channel.exchange_bind(hidden, front, "key")
    router.bind("q", hidden)
    assert router.publish(front, "key") == ["q"]
    refused = connection.channel()
    text = f"ACCESS_REFUSED - cannot publish to internal exchange '{hidden}' in vhost '/'"
    with channel_closes(refused, 403, text):
        refused.basic_publish(hidden, "key", b"x")


def test_further_keys_in_the_headers(router, channel):
    exchange = router.exchange("direct")
    for key in ("main", "copy", "secret"):
        router.bind(key, exchange, key)
    headers = {"CC": ["copy"], "BCC": ["secret"]}
    assert router.publish(exchange, "main", headers) == ["copy", "main", "secret"]
    channel.basic_publish(exchange, "none", b"x", BasicProperties(headers=headers))
    # Receivers see CC, and nobody sees BCC.
    _method, properties, _body = channel.basic_get(router.queues["secret"], auto_ack=True)
    assert properties.headers == {"CC": ["copy"]}
