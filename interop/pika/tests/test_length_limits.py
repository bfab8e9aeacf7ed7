"""Queues of limited length: what happens to the message that is one too many."""

import pytest
from pika.exceptions import NackError, UnroutableError

from helpers import Inbox, drain, publish, stays_quiet


@pytest.fixture
def limited(channel, unique):
    """`limited(length=3)` declares a queue of that length; its publisher waits for confirms."""
    channel.confirm_delivery()

    def declare(length=None, length_bytes=None, overflow=None):
        arguments = {
            "x-max-length": length,
            "x-max-length-bytes": length_bytes,
            "x-overflow": overflow,
        }
        name = unique("limited")
        channel.queue_declare(
            name, arguments={key: value for key, value in arguments.items() if value is not None}
        )
        return name

    return declare


def numbers(first, last):
    return [b"%d" % number for number in range(first, last + 1)]


def test_the_oldest_makes_room(channel, limited):
    queue = limited(length=3)
    publish(channel, queue, *numbers(1, 5))
    assert drain(channel, queue) == ["3", "4", "5"]


def test_by_octets(channel, limited):
    queue = limited(length_bytes=10)
    publish(channel, queue, b"aaaa", b"bbbb", b"cccc", b"")
    assert drain(channel, queue) == ["bbbb", "cccc", ""]
    # A message that is too large all by itself is gone at once, and with it those before.
    publish(channel, queue, b"small", b"much too large")
    assert drain(channel, queue) == []


def test_whichever_limit_is_met_first(channel, limited):
    queue = limited(length=3, length_bytes=10)
    publish(channel, queue, b"1", b"2", b"3", b"4")
    assert drain(channel, queue) == ["2", "3", "4"]
    publish(channel, queue, b"aaaaaaaaa", b"bb")
    assert drain(channel, queue) == ["bb"]


def test_the_newest_is_refused(channel, limited):
    queue = limited(length=3, overflow="reject-publish")
    publish(channel, queue, *numbers(1, 3))
    for body in numbers(4, 6):
        # The broker's nack.
        with pytest.raises(NackError):
            channel.basic_publish("", queue, body)
    # A message taken out makes room for one.
    assert channel.basic_get(queue, auto_ack=True)[2] == b"1"
    channel.basic_publish("", queue, b"7")
    with pytest.raises(NackError):
        channel.basic_publish("", queue, b"8")
    assert drain(channel, queue) == ["2", "3", "7"]


def test_a_refused_message_is_not_returned(channel, limited):
    """Mandatory asks for a queue, and there is one."""
    queue = limited(length=1, overflow="reject-publish")
    channel.basic_publish("", queue, b"1", mandatory=True)
    with pytest.raises(NackError) as refused:
        channel.basic_publish("", queue, b"2", mandatory=True)
    assert refused.value.messages == []
    with pytest.raises(UnroutableError):
        channel.basic_publish("", queue + ".missing", b"2", mandatory=True)


def test_without_confirms_nobody_is_told(connection, channel, limited):
    queue = limited(length=1, overflow="reject-publish")
    careless = connection.channel()
    publish(careless, queue, b"1", b"2", b"3")
    assert careless.is_open
    assert drain(channel, queue) == ["1"]


def test_one_of_two_queues_refuses(channel, limited, unique):
    """The nack says that not every queue has it; the other keeps its copy."""
    full, free, exchange = limited(length=1, overflow="reject-publish"), limited(), unique("both")
    channel.exchange_declare(exchange, "fanout")
    for queue in (full, free):
        channel.queue_bind(queue, exchange)
    channel.basic_publish(exchange, "", b"1")
    with pytest.raises(NackError):
        channel.basic_publish(exchange, "", b"2")
    assert drain(channel, full) == ["1"]
    assert drain(channel, free) == ["1", "2"]


def test_what_is_delivered_does_not_count(connection, channel, limited):
    queue = limited(length=2)
    inbox = Inbox(connection.channel(), queue)
    publish(channel, queue, *numbers(1, 6))
    inbox.wait_for(6)
    # Given back all together they are too many again; the oldest go.
    inbox.channel.close()
    stays_quiet([connection], seconds=0.1)
    assert drain(channel, queue) == ["5", "6"]
