"""Mandatory messages: what cannot be routed to any queue comes back to its publisher."""

import pika
import pytest
from pika.exceptions import UnroutableError
from pika.exchange_type import ExchangeType

from helpers import drain, stays_quiet, wait_until


class Returns:
    """Notes what comes back to a channel without confirms."""

    def __init__(self, channel):
        self.connection = channel.connection
        self.seen = []
        channel.add_on_return_callback(lambda _channel, *parts: self.seen.append(parts))

    def wait_for(self, count):
        wait_until(lambda: len(self.seen) >= count, self.connection)
        assert len(self.seen) == count
        return self.seen


@pytest.fixture
def exchange(channel, unique):
    """A direct exchange with one queue, bound by the key `known`."""
    name, queue = unique("exchange"), unique("known")
    channel.exchange_declare(name)
    channel.queue_declare(queue)
    channel.queue_bind(queue, name, "known")
    return name


def test_a_message_comes_back_whole(channel, exchange):
    returns = Returns(channel)
    properties = pika.BasicProperties(
        content_type="text/plain",
        headers={"attempt": 1, "from": "here"},
        delivery_mode=2,
        message_id="m-1",
    )
    channel.basic_publish(exchange, "unknown", b"the body", properties, mandatory=True)
    ((method, returned_properties, body),) = returns.wait_for(1)
    assert (method.reply_code, method.reply_text) == (312, "NO_ROUTE")
    assert (method.exchange, method.routing_key) == (exchange, "unknown")
    assert returned_properties == properties
    assert body == b"the body"


def test_returns_keep_their_order(channel, exchange):
    returns = Returns(channel)
    for number in range(50):
        key = "known" if number % 10 == 0 else "unknown"
        channel.basic_publish(exchange, key, b"%d" % number, mandatory=True)
    returned = [int(body) for _method, _properties, body in returns.wait_for(45)]
    assert returned == [number for number in range(50) if number % 10]


def test_without_mandatory_nothing_is_said(connection, channel, exchange):
    returns = Returns(channel)
    channel.basic_publish(exchange, "unknown", b"dropped")
    channel.basic_publish(exchange, "known", b"arrives", mandatory=True)
    stays_quiet([connection])
    assert returns.seen == []
    assert channel.is_open


def test_an_exchange_without_bindings_routes_nothing(channel, unique):
    lonely = unique("lonely")
    channel.exchange_declare(lonely, ExchangeType.fanout)
    returns = Returns(channel)
    channel.basic_publish(lonely, "any", b"x", mandatory=True)
    assert returns.wait_for(1)[0][0].exchange == lonely


def test_the_default_exchange_returns_when_the_queue_is_missing(channel, unique):
    queue = unique("later")
    returns = Returns(channel)
    channel.basic_publish("", queue, b"too early", mandatory=True)
    assert returns.wait_for(1)[0][0].routing_key == queue
    channel.queue_declare(queue)
    channel.basic_publish("", queue, b"in time", mandatory=True)
    assert drain(channel, queue) == ["in time"]


def test_large_and_empty_bodies_come_back_too(channel, exchange):
    returns = Returns(channel)
    large = bytes(range(256)) * 4096
    for body in (large, b""):
        channel.basic_publish(exchange, "unknown", body, mandatory=True)
    assert [body for _method, _properties, body in returns.wait_for(2)] == [large, b""]


def test_with_confirms_the_return_comes_first(channel, exchange):
    """pika raises when the confirm arrives, so a return after it would be missed here."""
    channel.confirm_delivery()
    for number in range(20):
        with pytest.raises(UnroutableError) as unroutable:
            channel.basic_publish(exchange, "unknown", b"%d" % number, mandatory=True)
        (message,) = unroutable.value.messages
        assert int(message.body) == number
        # The next one is confirmed without a return.
        channel.basic_publish(exchange, "known", b"x", mandatory=True)
        # An unroutable message that is not mandatory is simply confirmed.
        channel.basic_publish(exchange, "unknown", b"x")


def test_a_bound_queue_that_was_deleted_counts_no_more(channel, exchange, unique):
    other = unique("other")
    channel.confirm_delivery()
    channel.queue_declare(other)
    channel.queue_bind(other, exchange, "other")
    channel.basic_publish(exchange, "other", b"x", mandatory=True)
    channel.queue_delete(other)
    with pytest.raises(UnroutableError):
        channel.basic_publish(exchange, "other", b"x", mandatory=True)


def test_a_return_goes_to_the_channel_that_published(connection, exchange):
    publishing, bystander = connection.channel(), connection.channel()
    returns, others = Returns(publishing), Returns(bystander)
    publishing.basic_publish(exchange, "unknown", b"x", mandatory=True)
    returns.wait_for(1)
    stays_quiet([connection], seconds=0.1)
    assert others.seen == []
