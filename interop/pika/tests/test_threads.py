"""Threads: a connection belongs to one of them.

Either each thread has a connection of its own, or one thread serves the connection and the others
hand their calls to it.
"""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pika
import pytest

from helpers import Inbox, wait_until

PUBLISHERS = 8
MESSAGES_EACH = 150


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


def publish_confirmed(broker, queue, publisher):
    """What one publishing thread does: its own connection, each message confirmed."""
    with pika.BlockingConnection(broker.parameters()) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(MESSAGES_EACH):
            channel.basic_publish("", queue, f"{publisher} {number}".encode(), mandatory=True)


def test_a_connection_for_each_thread(broker, connection, channel, queue):
    inbox = Inbox(channel, queue, auto_ack=True)
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        threads = [
            pool.submit(publish_confirmed, broker, queue, publisher)
            for publisher in range(PUBLISHERS)
        ]
        wait_until(lambda: len(inbox.deliveries) >= PUBLISHERS * MESSAGES_EACH, connection)
        for thread in threads:
            thread.result()
    # However the publishers' messages are mixed, those of one publisher are in order.
    by_publisher = {str(publisher): [] for publisher in range(PUBLISHERS)}
    for body in inbox.bodies:
        publisher, number = body.split()
        by_publisher[publisher].append(int(number))
    assert set(map(tuple, by_publisher.values())) == {tuple(range(MESSAGES_EACH))}


def test_several_consuming_threads(broker, queue):
    """Every message is worked on once, by whichever thread it came to."""
    worked_on = Counter()
    lock = threading.Lock()
    everything = threading.Event()

    def consume():
        with pika.BlockingConnection(broker.parameters()) as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=5)
            for method, _properties, body in channel.consume(queue, inactivity_timeout=0.1):
                if everything.is_set():
                    break
                if method is None:
                    continue
                channel.basic_ack(method.delivery_tag)
                with lock:
                    worked_on[body] += 1
                    if len(worked_on) == 2 * MESSAGES_EACH:
                        everything.set()
            channel.cancel()

    with ThreadPoolExecutor(5) as pool:
        consumers = [pool.submit(consume) for _ in range(3)]
        publishers = [pool.submit(publish_confirmed, broker, queue, number) for number in range(2)]
        assert everything.wait(120)
        for thread in consumers + publishers:
            thread.result()
    assert set(worked_on.values()) == {1}


def test_long_work_beside_the_connection(connect, connection, queue, channel):
    """The work is done by other threads while this one goes on serving the connection.

    The heartbeat is shorter than the work takes, so a connection that was not served would be lost.
    """
    consuming = connect(heartbeat=3)
    consumer = consuming.channel()
    consumer.basic_qos(prefetch_count=3)
    acknowledged = []

    def work(tag):
        time.sleep(9)
        consuming.add_callback_threadsafe(lambda: acknowledge(tag))

    def acknowledge(tag):
        consumer.basic_ack(tag)
        acknowledged.append(tag)

    with ThreadPoolExecutor(3) as pool:
        consumer.basic_consume(
            queue,
            lambda _channel, method, _properties, _body: pool.submit(work, method.delivery_tag),
        )
        for number in range(3):
            channel.basic_publish("", queue, b"%d" % number)
        wait_until(lambda: len(acknowledged) == 3, consuming)
    consuming.close()
    # All were settled, so nothing came back.
    assert channel.queue_declare(queue, passive=True).method.message_count == 0
