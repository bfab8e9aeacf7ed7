"""Bodies of every size: empty, around the size of a frame, and large."""

import hashlib
import os

import pika
import pytest
from pika import frame, spec

from helpers import Inbox, channel_closes, connection_closes, drain, publish
from raw import RawClient

MIB = 1024 * 1024
FRAME_OVERHEAD = 8


def digest(body):
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


def round_trip(channel, queue, body):
    channel.basic_publish("", queue, body)
    method, _properties, received = channel.basic_get(queue, auto_ack=True)
    assert method is not None
    return received


def test_empty(channel, queue):
    assert round_trip(channel, queue, b"") == b""
    inbox = Inbox(channel, queue, auto_ack=True)
    publish(channel, queue, b"", b"not empty", b"")
    inbox.wait_for(3)
    assert inbox.bodies == ["", "not empty", ""]


def test_empty_with_properties(channel, queue):
    publish(channel, queue, b"", type="signal", headers={"a": 1})
    _method, properties, body = channel.basic_get(queue, auto_ack=True)
    assert (properties.type, properties.headers, body) == ("signal", {"a": 1}, b"")


def test_every_octet(channel, queue):
    body = bytes(range(256))
    assert round_trip(channel, queue, body) == body


def test_around_the_size_of_a_frame(connection, channel, queue):
    frame_max = connection._impl.params.frame_max
    assert frame_max == 131072
    body_max = frame_max - FRAME_OVERHEAD
    for size in (body_max - 1, body_max, body_max + 1, 2 * body_max, 2 * body_max + 1):
        body = os.urandom(size)
        assert digest(round_trip(channel, queue, body)) == digest(body), size


@pytest.mark.parametrize("frame_max", [8192, 20000])
def test_a_smaller_frame_is_negotiated(connect, queue, frame_max):
    connection = connect(frame_max=frame_max)
    assert connection._impl.params.frame_max == frame_max
    body = os.urandom(100_000)
    assert digest(round_trip(connection.channel(), queue, body)) == digest(body)


def test_frame_sizes_of_two_connections_do_not_matter_to_each_other(connect, channel, queue):
    body = os.urandom(300_000)
    publish(channel, queue, body)
    small = connect(frame_max=8192).channel()
    _method, _properties, received = small.basic_get(queue, auto_ack=True)
    assert digest(received) == digest(body)


def test_large_ones_in_confirm_mode(channel, queue):
    channel.confirm_delivery()
    bodies = [os.urandom(MIB) for _ in range(8)]
    for body in bodies:
        channel.basic_publish("", queue, body, mandatory=True)
    inbox = Inbox(channel, queue)
    inbox.wait_for(8)
    assert [digest(d.body) for d in inbox.deliveries] == [digest(body) for body in bodies]


def test_64_mib(channel, queue):
    body = os.urandom(MIB) * 64
    channel.confirm_delivery()
    channel.basic_publish("", queue, body, pika.BasicProperties(message_id="large"), mandatory=True)
    method, properties, received = channel.basic_get(queue, auto_ack=True)
    assert (properties.message_id, len(received)) == ("large", len(body))
    assert digest(received) == digest(body)
    assert method.message_count == 0


def test_large_and_small_side_by_side(connection, channel, queue, unique):
    """A large message on one channel does not hold up, or mix with, those of another."""
    other_queue = unique("other")
    other = connection.channel()
    other.queue_declare(other_queue)
    large = os.urandom(4 * MIB)
    channel.basic_publish("", queue, large)
    publish(other, other_queue, *(b"%d" % number for number in range(100)))
    first, second = Inbox(channel, queue), Inbox(other, other_queue)
    assert digest(first.wait_for(1)[0].body) == digest(large)
    second.wait_for(100)
    assert second.bodies == [str(number) for number in range(100)]


def test_a_message_that_is_cut_off_never_was(broker, channel, queue):
    """The network fails in the middle of a body: half a message is no message."""
    raw = RawClient(broker)
    raw.send(spec.Channel.Open(), channel=1)
    raw.expect(spec.Channel.OpenOk)
    raw.send(spec.Basic.Publish(routing_key=queue), channel=1)
    raw.send_frame(frame.Header(1, 2 * MIB, pika.BasicProperties()))
    for _ in range(10):
        raw.send_frame(frame.Body(1, bytes(100_000)))
    # The broker has read it all when it answers on another channel; only then the end.
    raw.send(spec.Channel.Open(), channel=2)
    raw.expect(spec.Channel.OpenOk)
    raw.close()
    assert round_trip(channel, queue, b"whole") == b"whole"
    assert drain(channel, queue) == []


def test_a_body_as_text_is_sent_as_utf8(channel, queue):
    assert round_trip(channel, queue, "grüße, 世界") == "grüße, 世界".encode()


def test_order_of_many(channel, queue):
    count = 2000
    for number in range(count):
        channel.basic_publish("", queue, b"%d" % number)
    channel.queue_declare(queue, passive=True)
    assert [int(body) for body in drain(channel, queue)] == list(range(count))


def test_a_message_over_the_limit_of_the_broker(connection, channel, queue):
    """128 MiB by default. Only the channel ends, and what is still on its way is ignored."""
    limit = 128 * MIB
    text = (
        f"PRECONDITION_FAILED - message size {limit + 1} is larger than configured max size {limit}"
    )
    with channel_closes(channel, 406, text):
        channel.basic_publish("", queue, bytes(limit + 1))
    again = connection.channel()
    assert round_trip(again, queue, b"small") == b"small"


def test_a_size_beyond_every_limit(channel, queue, peer_is_rabbitmq):
    """512 MiB is the end in any case; judged by the header, the body is not waited for."""
    if peer_is_rabbitmq:
        pytest.skip("RabbitMQ 3.10 has no such limit yet and waits for the body")
    limit = 512 * MIB
    text = f"FRAME_ERROR - content body size {limit + 1} exceeds maximum allowed size {limit}"
    with connection_closes(channel, 501, text):
        send, number = channel.connection._impl._send_frame, channel.channel_number
        send(frame.Method(number, spec.Basic.Publish(routing_key=queue)))
        send(frame.Header(number, limit + 1, pika.BasicProperties()))
