"""basic.get: fetching one message at a time."""

import pytest

from helpers import channel_closes, depth, publish


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


def test_an_empty_queue(channel, queue):
    assert channel.basic_get(queue) == (None, None, None)


def test_a_message_and_how_many_remain(channel, queue):
    publish(channel, queue, b"0", b"1", b"2", content_type="text/plain")
    for number in range(3):
        method, properties, body = channel.basic_get(queue)
        assert (method.delivery_tag, method.message_count) == (number + 1, 2 - number)
        assert (method.exchange, method.routing_key) == ("", queue)
        assert (properties.content_type, int(body)) == ("text/plain", number)
    assert channel.basic_get(queue) == (None, None, None)


def test_the_exchange_and_key_it_was_published_with(channel, queue, unique):
    exchange = unique("exchange")
    channel.exchange_declare(exchange, "topic")
    channel.queue_bind(queue, exchange, "weather.#")
    channel.basic_publish(exchange, "weather.rain.heavy", b"x")
    depth(channel, queue)
    method, _properties, _body = channel.basic_get(queue)
    assert (method.exchange, method.routing_key) == (exchange, "weather.rain.heavy")


def test_auto_ack_removes_at_once(connection, channel, queue):
    publish(channel, queue, b"0", b"1")
    channel.basic_get(queue, auto_ack=True)
    channel.basic_get(queue)
    channel.close()
    method, _properties, body = connection.channel().basic_get(queue)
    assert (body, method.redelivered, method.message_count) == (b"1", True, 0)


def test_the_order_is_the_order_of_publishing(channel, queue):
    publish(channel, queue, *(b"%d" % number for number in range(200)))
    bodies = [int(channel.basic_get(queue, auto_ack=True)[2]) for _ in range(200)]
    assert bodies == list(range(200))


def test_tags_are_shared_with_consumers(channel, queue):
    """Deliveries of either kind on a channel are numbered in one sequence."""
    publish(channel, queue, b"0", b"1", b"2")
    assert channel.basic_get(queue)[0].delivery_tag == 1
    tags = []
    for method, _properties, _body in channel.consume(queue, inactivity_timeout=30):
        tags.append(method.delivery_tag)
        channel.basic_ack(method.delivery_tag)
        if len(tags) == 2:
            break
    channel.cancel()
    assert tags == [2, 3]


def test_a_queue_that_does_not_exist(channel, unique):
    queue = unique("missing")
    with channel_closes(channel, 404, f"NOT_FOUND - no queue '{queue}' in vhost '/'"):
        channel.basic_get(queue)
