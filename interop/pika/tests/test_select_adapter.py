"""SelectConnection: pika's own event loop, everything by callbacks.

A call such as queue_declare returns at once; what comes next stands in its callback. So each test
is a chain of small functions, to be read from top to bottom, and `done()` ends it.
"""

import pika
import pytest
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ConnectionClosedByClient,
)

SECONDS_MAX = 90


class Session:
    """One SelectConnection with one channel, run until `done()` or until the broker closes it."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.closed_with = None
        self.finished = False

    def run(self, scenario):
        """Opens connection and channel, calls `scenario(channel)`, serves until the end."""
        self.connection = pika.SelectConnection(
            self.parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=scenario),
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_close,
        )
        self.connection.ioloop.call_later(SECONDS_MAX, self._give_up)
        self.connection.ioloop.start()
        return self.closed_with

    def done(self):
        self.finished = True
        self.connection.close()

    def _on_open_error(self, _connection, error):
        raise error

    def _on_close(self, connection, reason):
        self.closed_with = reason
        connection.ioloop.stop()

    def _give_up(self):
        raise TimeoutError(f"the scenario did not end within {SECONDS_MAX} s")


@pytest.fixture
def session(broker, unique):
    return Session(broker.parameters())


def test_hello_world(session, unique):
    queue = unique("hello")
    received = []

    def on_channel(channel):
        session.channel = channel
        channel.queue_declare(queue, callback=on_declared)

    def on_declared(frame):
        assert frame.method.queue == queue
        session.channel.basic_publish("", queue, b"Hello World!")
        session.channel.basic_get(queue, on_message, auto_ack=True)

    def on_message(_channel, method, _properties, body):
        received.append((method.routing_key, method.message_count, body))
        session.done()

    reason = session.run(on_channel)
    assert received == [(queue, 0, b"Hello World!")]
    assert isinstance(reason, ConnectionClosedByClient)
    assert (reason.reply_code, reason.reply_text) == (200, "Normal shutdown")


def test_publish_with_confirms(session, unique):
    queue = unique("confirmed")
    count = 500
    unconfirmed = set(range(1, count + 1))

    def on_channel(channel):
        session.channel = channel
        channel.queue_declare(queue, durable=True, callback=on_declared)

    def on_declared(_frame):
        session.channel.confirm_delivery(on_confirm, callback=on_confirm_mode)

    def on_confirm_mode(_frame):
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for number in range(count):
            session.channel.basic_publish("", queue, b"%d" % number, persistent)

    def on_confirm(frame):
        assert isinstance(frame.method, pika.spec.Basic.Ack)
        tag = frame.method.delivery_tag
        # A confirm for several messages includes at least one that was still open.
        assert tag in unconfirmed
        unconfirmed.difference_update(range(1, tag + 1) if frame.method.multiple else [tag])
        if not unconfirmed:
            session.channel.queue_declare(queue, passive=True, callback=on_counted)

    def on_counted(frame):
        assert frame.method.message_count == count
        session.done()

    session.run(on_channel)
    assert session.finished


def test_consume_and_acknowledge(session, unique):
    queue = unique("work")
    received = []

    def on_channel(channel):
        session.channel = channel
        channel.queue_declare(queue, callback=on_declared)

    def on_declared(_frame):
        for number in range(10):
            session.channel.basic_publish("", queue, b"%d" % number)
        session.channel.basic_qos(prefetch_count=3, callback=on_qos)

    def on_qos(_frame):
        session.tag = session.channel.basic_consume(queue, on_message)

    def on_message(channel, method, _properties, body):
        received.append((method.delivery_tag, int(body)))
        # With a prefetch of 3 these acknowledgements are what keeps the messages coming.
        channel.basic_ack(method.delivery_tag)
        if len(received) == 10:
            channel.basic_cancel(session.tag, callback=on_cancelled)

    def on_cancelled(frame):
        assert frame.method.consumer_tag == session.tag
        session.channel.queue_declare(queue, passive=True, callback=on_counted)

    def on_counted(frame):
        assert (frame.method.message_count, frame.method.consumer_count) == (0, 0)
        session.done()

    session.run(on_channel)
    assert session.finished
    assert received == [(number + 1, number) for number in range(10)]


def test_a_long_stream_stays_in_order(session, unique):
    """One channel publishes as fast as it can, another consumes and acknowledges now and then."""
    queue = unique("stream")
    count, batch = 20_000, 50
    received = []

    def on_channel(channel):
        session.publisher = channel
        channel.queue_declare(queue, callback=on_declared)

    def on_declared(_frame):
        session.connection.channel(on_open_callback=on_consumer_channel)

    def on_consumer_channel(channel):
        channel.basic_qos(prefetch_count=3 * batch)
        channel.basic_consume(queue, on_message, callback=lambda _frame: publish_some(0))

    def publish_some(first):
        # In portions, so that the loop gets to receive in between.
        for number in range(first, first + 1000):
            session.publisher.basic_publish("", queue, b"%d" % number)
        if first + 1000 < count:
            session.connection.ioloop.call_later(0, lambda: publish_some(first + 1000))

    def on_message(channel, method, _properties, body):
        received.append(int(body))
        if len(received) % batch == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if len(received) == count:
            channel.queue_declare(queue, passive=True, callback=on_counted)

    def on_counted(frame):
        assert frame.method.message_count == 0
        session.done()

    session.run(on_channel)
    assert session.finished
    assert received == list(range(count))


def test_return_comes_before_the_confirm(session, unique):
    nowhere = unique("nowhere")
    events = []

    def on_channel(channel):
        session.channel = channel
        channel.add_on_return_callback(on_return)
        channel.confirm_delivery(on_confirm, callback=on_confirm_mode)

    def on_confirm_mode(_frame):
        session.channel.basic_publish("", nowhere, b"lost", mandatory=True)

    def on_return(_channel, method, _properties, body):
        events.append(("return", method.reply_code, method.reply_text, method.routing_key, body))

    def on_confirm(frame):
        events.append((frame.method.NAME, frame.method.delivery_tag))
        session.done()

    session.run(on_channel)
    assert events == [("return", 312, "NO_ROUTE", nowhere, b"lost"), ("Basic.Ack", 1)]


def test_channel_error_and_a_new_channel(session, unique):
    missing = unique("missing")
    closed_with = []

    def on_channel(channel):
        channel.add_on_close_callback(on_channel_closed)
        channel.basic_publish(missing, "key", b"no such exchange")

    def on_channel_closed(_channel, reason):
        closed_with.append(reason)
        session.connection.channel(on_open_callback=on_second_channel)

    def on_second_channel(channel):
        channel.queue_declare(missing, callback=lambda _frame: session.done())

    session.run(on_channel)
    assert session.finished
    (reason,) = closed_with
    assert isinstance(reason, ChannelClosedByBroker)
    assert reason.reply_code == 404
    assert reason.reply_text == f"NOT_FOUND - no exchange '{missing}' in vhost '/'"


def test_connection_closed_by_the_broker(session):
    channels = []

    def on_channel(channel):
        channel.add_on_close_callback(lambda _channel, reason: channels.append(reason))
        channel.basic_qos(prefetch_size=1)

    reason = session.run(on_channel)
    assert isinstance(reason, ConnectionClosedByBroker)
    assert (reason.reply_code, reason.reply_text) == (540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)")
    # A channel learns of it with the same reason.
    assert channels == [reason]


def test_cancel_by_the_broker(session, unique):
    queue = unique("doomed")
    cancelled = []

    def on_channel(channel):
        session.channel = channel
        channel.add_on_cancel_callback(on_cancel)
        channel.queue_declare(queue, callback=on_declared)

    def on_declared(_frame):
        session.tag = session.channel.basic_consume(
            queue, lambda *_message: None, callback=on_consuming
        )

    def on_consuming(_frame):
        # Deleted by another channel, so that this one is told about its consumer.
        session.connection.channel(on_open_callback=lambda other: other.queue_delete(queue))

    def on_cancel(frame):
        cancelled.append(frame.method.consumer_tag)
        session.channel.queue_declare(queue, callback=lambda _frame: session.done())

    session.run(on_channel)
    assert session.finished
    assert cancelled == [session.tag]
