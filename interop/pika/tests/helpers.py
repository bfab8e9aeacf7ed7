"""Small words that the tests are written in."""

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pika
import pytest
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker


def wait_until(condition, *connections, seconds_max=60):
    """Serves the connections (blocking ones do nothing on their own) until the condition holds."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds_max} s"
        for connection in connections:
            connection.process_data_events(time_limit=0.02)
        if not connections:
            time.sleep(0.02)


def stays_quiet(connections, seconds=0.3):
    """Serves the connections for a while: for tests that nothing more arrives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for connection in connections:
            connection.process_data_events(time_limit=0.02)


@dataclass
class Delivery:
    """A message as a consumer saw it."""

    method: pika.spec.Basic.Deliver
    properties: pika.BasicProperties
    body: bytes


class Inbox:
    """A consumer that notes what it is given and acknowledges only when told to."""

    def __init__(self, channel, queue, **options):
        self.channel = channel
        self.deliveries = []
        self.tag = channel.basic_consume(queue, self._on_message, **options)

    def _on_message(self, _channel, method, properties, body):
        self.deliveries.append(Delivery(method, properties, body))

    @property
    def bodies(self):
        return [delivery.body.decode() for delivery in self.deliveries]

    def wait_for(self, count):
        """Waits for `count` deliveries in all and gives them."""
        wait_until(lambda: len(self.deliveries) >= count, self.channel.connection)
        assert len(self.deliveries) == count, self.bodies
        return self.deliveries

    def ack(self, position):
        """Acknowledges the delivery at this position of the list."""
        self.channel.basic_ack(self.deliveries[position].method.delivery_tag)


def publish(channel, queue, *bodies, **properties):
    """Sends bodies straight to a queue by way of the default exchange, and waits till it has them.

    Only the methods of one channel are carried out in order: what another channel does next could
    overtake a publish that nothing was waited for after.
    """
    for body in bodies:
        channel.basic_publish("", queue, body, pika.BasicProperties(**properties))
    depth(channel, queue)


def depth(channel, queue):
    """How many messages are ready, by a passive declare."""
    return channel.queue_declare(queue, passive=True).method.message_count


def drain(channel, queue):
    """Takes all ready messages and gives their bodies as text."""
    bodies = []
    while True:
        method, _properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return bodies
        bodies.append(body.decode())


@contextmanager
def channel_closes(channel, code, text):
    """Inside this the broker closes the channel, with exactly this code and text."""
    with pytest.raises(ChannelClosedByBroker) as closed:
        yield
        # Publishing and acknowledging are not answered, so an error shows at the next call that is.
        channel.basic_qos()
    assert (closed.value.reply_code, closed.value.reply_text) == (code, text)
    assert channel.connection.is_open


@contextmanager
def connection_closes(channel, code, text):
    """Inside this the broker closes the channel's connection, with exactly this code and text."""
    with pytest.raises(ConnectionClosedByBroker) as closed:
        yield
        channel.basic_qos()
    assert (closed.value.reply_code, closed.value.reply_text) == (code, text)
    assert channel.connection.is_closed


def lose_network(connection):
    """The TCP connection ends without a word of AMQP."""
    connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(AMQPConnectionError):
        wait_until(lambda: False, connection)
