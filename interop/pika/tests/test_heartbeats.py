"""Heartbeats: how either side finds out that the other is no longer there.

Both send something at least every half of the agreed interval, and each gives the other up after
about two intervals without a sign of life.
"""

import time

import pytest
from pika.exceptions import AMQPConnectionError
from pika.frame import Heartbeat
from pika.spec import Channel

from helpers import Inbox, depth, publish, stays_quiet, wait_until
from raw import RawClient


@pytest.fixture
def raw_client(broker):
    """`raw_client(heartbeat=1)` connects a client that does nothing by itself."""
    clients = []

    def start(**options):
        clients.append(RawClient(broker, **options))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def test_the_broker_proposes_and_the_client_decides(connect):
    proposed = []

    def choose(_connection, value):
        proposed.append(value)
        return 17

    assert connect(heartbeat=choose)._impl.params.heartbeat == 17
    assert proposed == [60]
    # None takes what is proposed, 0 switches heartbeats off, and more than proposed is allowed.
    for chosen, agreed in [(None, 60), (0, 0), (600, 600)]:
        connection = connect(heartbeat=chosen)
        assert connection._impl.params.heartbeat == agreed
        connection.channel()


def test_an_idle_consumer_stays_connected(connect, channel, unique):
    """What heartbeats are for, seen from an application: nothing happens, and that is fine."""
    queue = unique("quiet")
    channel.queue_declare(queue)
    idle = [connect(heartbeat=2), connect(heartbeat=3)]
    inboxes = [Inbox(connection.channel(), queue) for connection in idle]
    stays_quiet(idle, seconds=8)
    for connection in idle:
        assert connection.is_open
        # The broker sent signs of life, which is all there was to receive.
        assert connection._impl._heartbeat_checker._heartbeat_frames_received >= 2
    publish(channel, queue, b"0", b"1")
    for inbox in inboxes:
        inbox.wait_for(1)


def test_who_is_dropped_and_who_is_not(raw_client):
    silent, beating, busy = (raw_client(heartbeat=2) for _ in range(3))
    without = raw_client(heartbeat=0)
    clients = (silent, beating, busy, without)
    busy.send(Channel.Open(), channel=1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for client in clients:
            client.listen()
        beating.send_frame(Heartbeat())
        # Any frame is a sign of life.
        busy.send(Channel.Flow(active=True), channel=1)
        time.sleep(0.25)
    assert silent.closed_at, "a client that fell silent was not dropped"
    assert 3.8 <= silent.lived_seconds
    for client in (beating, busy, without):
        assert client.lived_seconds is None
    # One was sent about every second.
    assert beating.heartbeats_received >= 4
    assert without.heartbeats_received == 0


def test_a_program_that_does_not_serve_its_connection(connect, channel, unique):
    """The classic mistake: long work in a callback of a BlockingConnection."""
    queue = unique("work")
    channel.queue_declare(queue)
    publish(channel, queue, b"long work")
    careless = connect(heartbeat=1)
    careless_channel = careless.channel()
    assert careless_channel.basic_get(queue)[2] == b"long work"
    time.sleep(4)
    # The broker has long given the work back for somebody else...
    wait_until(lambda: depth(channel, queue) == 1)
    method, _properties, body = channel.basic_get(queue)
    assert (body, method.redelivered) == (b"long work", True)
    # ...when the acknowledgement finds nobody at the other end.
    with pytest.raises(AMQPConnectionError):
        careless_channel.basic_ack(1)
        wait_until(lambda: False, careless)
