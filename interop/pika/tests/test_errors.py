"""Errors as a pika program meets them: which exception, which code, which text.

Soft errors (403 to 406) close the channel: ChannelClosedByBroker. Hard ones close the connection:
ConnectionClosedByBroker. The lists below hold one example of each kind; files about a topic have
more of their own.
"""

import pika
import pytest
from pika import spec
from pika.exceptions import ChannelClosedByBroker

from helpers import Inbox, channel_closes, connection_closes, drain, publish, wait_until


class Situation:
    """What an error happens to: a queue with a consumer, an exchange, and names of nothing."""

    def __init__(self, connection, unique):
        channel = connection.channel()
        self.queue, self.exchange = unique("queue"), unique("exchange")
        self.missing = unique("missing")
        channel.queue_declare(self.queue)
        channel.exchange_declare(self.exchange)
        Inbox(channel, self.queue, exclusive=True)


@pytest.fixture
def situation(connect, unique):
    return Situation(connect(), unique)


CHANNEL_ERRORS = {
    "reserved queue name": (
        lambda channel, s: channel.queue_declare("amq.custom"),
        "403 ACCESS_REFUSED - queue name 'amq.custom' contains reserved prefix 'amq.*'",
    ),
    "system exchange deleted": (
        lambda channel, s: channel.exchange_delete("amq.topic"),
        "403 ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed",
    ),
    "bound to the default exchange": (
        lambda channel, s: channel.queue_bind(s.queue, "", "key"),
        "403 ACCESS_REFUSED - operation not permitted on the default exchange",
    ),
    "queue of an exclusive consumer": (
        lambda channel, s: channel.basic_consume(s.queue, print),
        "403 ACCESS_REFUSED - queue '{s.queue}' in vhost '/' in exclusive use",
    ),
    "publish to no exchange": (
        lambda channel, s: channel.basic_publish(s.missing, "key", b"x"),
        "404 NOT_FOUND - no exchange '{s.missing}' in vhost '/'",
    ),
    "publish to no exchange, large": (
        lambda channel, s: channel.basic_publish(s.missing, "key", bytes(2_000_000)),
        "404 NOT_FOUND - no exchange '{s.missing}' in vhost '/'",
    ),
    "consume from no queue": (
        lambda channel, s: channel.basic_consume(s.missing, print),
        "404 NOT_FOUND - no queue '{s.missing}' in vhost '/'",
    ),
    "bind no queue": (
        lambda channel, s: channel.queue_bind(s.missing, s.exchange, "key"),
        "404 NOT_FOUND - no queue '{s.missing}' in vhost '/'",
    ),
    "bind to no exchange": (
        lambda channel, s: channel.queue_bind(s.queue, s.missing, "key"),
        "404 NOT_FOUND - no exchange '{s.missing}' in vhost '/'",
    ),
    "purge no queue": (
        lambda channel, s: channel.queue_purge(s.missing),
        "404 NOT_FOUND - no queue '{s.missing}' in vhost '/'",
    ),
    "queue in use": (
        lambda channel, s: channel.queue_delete(s.queue, if_unused=True),
        "406 PRECONDITION_FAILED - queue '{s.queue}' in vhost '/' in use",
    ),
    "other properties": (
        lambda channel, s: channel.queue_declare(s.queue, durable=True),
        "406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{s.queue}' in vhost '/': "
        "received 'true' but current is 'false'",
    ),
    "unknown delivery tag": (
        lambda channel, s: channel.basic_ack(7),
        "406 PRECONDITION_FAILED - unknown delivery tag 7",
    ),
    "unknown delivery tag, multiple": (
        lambda channel, s: channel.basic_nack(7, multiple=True),
        "406 PRECONDITION_FAILED - unknown delivery tag 7",
    ),
    "not transactional": (
        lambda channel, s: channel.tx_commit(),
        "406 PRECONDITION_FAILED - channel is not transactional",
    ),
    "somebody else's user-id": (
        lambda channel, s: channel.basic_publish(
            "", s.queue, b"x", pika.BasicProperties(user_id="somebody")
        ),
        "406 PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was "
        "'guest'",
    ),
    "expiration that is no number": (
        lambda channel, s: channel.basic_publish(
            "", s.queue, b"x", pika.BasicProperties(expiration="soon")
        ),
        "406 PRECONDITION_FAILED - invalid expiration 'soon': no_integer",
    ),
}

CONNECTION_ERRORS = {
    "consumer tag used twice": (
        lambda channel, s: consume_twice(channel, s.missing),
        "530 NOT_ALLOWED - attempt to reuse consumer tag 'twice'",
    ),
    "prefetch by size": (
        lambda channel, s: channel.basic_qos(prefetch_size=1000),
        "540 NOT_IMPLEMENTED - prefetch_size!=0 (1000)",
    ),
    "recover without requeue": (
        lambda channel, s: channel.basic_recover(requeue=False),
        "540 NOT_IMPLEMENTED - requeue=false",
    ),
    "flow stopped": (
        lambda channel, s: channel.flow(False),
        "540 NOT_IMPLEMENTED - active=false",
    ),
    "channel opened twice": (
        lambda channel, s: channel._impl._send_method(spec.Channel.Open()),
        "504 CHANNEL_ERROR - second 'channel.open' seen",
    ),
    "a method in the middle of a message": (
        lambda channel, s: channel._impl._send_method(spec.Basic.Publish(routing_key=s.queue)),
        "505 UNEXPECTED_FRAME - expected content header for class 60, got non content header "
        "frame instead",
    ),
}


def consume_twice(channel, queue):
    """By hand: pika watches over consumer tags itself."""
    channel.queue_declare(queue)
    for _ in range(2):
        channel._impl._send_method(spec.Basic.Consume(queue=queue, consumer_tag="twice"))


@pytest.mark.parametrize("label", CHANNEL_ERRORS)
def test_channel_errors(connection, situation, label):
    attempt, expected = CHANNEL_ERRORS[label]
    code, _space, text = expected.format(s=situation).partition(" ")
    channel, bystander = connection.channel(), connection.channel()
    with channel_closes(channel, int(code), text):
        attempt(channel, situation)
    # Nothing else is touched by it.
    assert bystander.is_open
    bystander.queue_declare(situation.queue, passive=True)


@pytest.mark.parametrize("label", CONNECTION_ERRORS)
def test_connection_errors(connect, situation, label):
    attempt, expected = CONNECTION_ERRORS[label]
    code, _space, text = expected.format(s=situation).partition(" ")
    channel = connect().channel()
    with connection_closes(channel, int(code), text):
        attempt(channel, situation)


def test_locked_queue(connect, unique):
    """405 shows which queue is meant, as far as 255 characters go."""
    queue = unique("mine")
    connect().channel().queue_declare(queue, exclusive=True)
    with pytest.raises(ChannelClosedByBroker) as closed:
        connect().channel().queue_purge(queue)
    assert closed.value.reply_code == 405
    assert closed.value.reply_text.startswith(
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'."
    )
    assert len(closed.value.reply_text) <= 255


def test_a_publish_error_arrives_later(connection, channel, unique):
    """A publish is not answered. Its error comes by the way, and only if someone listens."""
    missing, queue = unique("missing"), unique("queue")
    closed = []
    channel._impl.add_on_close_callback(lambda _channel, reason: closed.append(reason))
    channel.queue_declare(queue)
    channel.basic_publish("", queue, b"before")
    channel._impl.basic_publish(missing, "key", b"wrong")
    channel._impl.basic_publish("", queue, b"after")
    wait_until(lambda: closed, connection)
    assert [reason.reply_code for reason in closed] == [404]
    # What came before counts, what came after does not.
    assert drain(connection.channel(), queue) == ["before"]


def test_a_confirming_channel_learns_at_once(channel, unique):
    missing = unique("missing")
    channel.confirm_delivery()
    with channel_closes(channel, 404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'"):
        channel.basic_publish(missing, "key", b"x")


def test_open_messages_are_back_before_the_error_is_told(connection, unique):
    queue = unique("queue")
    channel, other = connection.channel(), connection.channel()
    channel.queue_declare(queue)
    publish(channel, queue, b"0", b"1")
    Inbox(channel, queue).wait_for(2)
    with pytest.raises(ChannelClosedByBroker):
        channel.queue_declare(queue, durable=True)
    declared = other.queue_declare(queue, passive=True).method
    assert (declared.message_count, declared.consumer_count) == (2, 0)


def test_a_failed_connection_does_not_trouble_others(connect, channel, unique):
    queue = unique("queue")
    channel.queue_declare(queue)
    inbox = Inbox(channel, queue)
    bad = connect().channel()
    with connection_closes(bad, 540, "NOT_IMPLEMENTED - active=false"):
        bad.flow(False)
    publish(connect().channel(), queue, b"still here")
    inbox.wait_for(1)
