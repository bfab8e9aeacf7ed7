"""Tutorial 7, publisher confirms: three ways to be sure.

    python publisher_confirms.py [url] [count]

Once a channel is in confirm mode the broker says of each message that it has taken it over: for
a persistent message in a durable queue, that it is on disk. How long one waits for that decides
how fast one can publish.
"""

import sys
import time

import pika

from common import name, parameters

BATCH_SIZE = 100
PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


def one_at_a_time(parameters, queue, count):
    """Simple and slow: wait for each confirm before the next message is sent."""
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare(queue, durable=True)
    channel.confirm_delivery()
    for number in range(count):
        # A blocking channel in confirm mode returns from here when the confirm is there, and
        # raises when the broker refuses the message or cannot route it.
        channel.basic_publish("", queue, str(number).encode(), PERSISTENT, mandatory=True)
    connection.close()
    return count


class WindowedPublisher:
    """Sends up to `window` messages ahead of their confirms."""

    def __init__(self, parameters, queue, count, window):
        self.queue, self.count, self.window = queue, count, window
        self.sent = 0
        self.confirmed = 0
        self.outstanding = set()
        self.connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self.on_channel
            ),
            on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
        )

    def run(self):
        self.connection.ioloop.start()
        return self.confirmed

    def on_channel(self, channel):
        self.channel = channel
        channel.queue_declare(self.queue, durable=True, callback=self.on_queue)

    def on_queue(self, _declare_ok):
        self.channel.confirm_delivery(self.on_confirm, callback=lambda _ok: self.fill_window())

    def fill_window(self):
        while self.sent < self.count and len(self.outstanding) < self.window:
            self.channel.basic_publish("", self.queue, str(self.sent).encode(), PERSISTENT)
            self.sent += 1
            # The broker numbers the messages of a channel 1, 2, 3, ... in the order they come.
            self.outstanding.add(self.sent)

    def on_confirm(self, frame):
        confirm = frame.method
        settled = {confirm.delivery_tag}
        if confirm.multiple:
            # One confirm can stand for this message and for all before it.
            settled = {tag for tag in self.outstanding if tag <= confirm.delivery_tag}
        self.outstanding -= settled
        if isinstance(confirm, pika.spec.Basic.Nack):
            raise RuntimeError(f"the broker refused {sorted(settled)}")
        self.confirmed += len(settled)
        if self.confirmed == self.count:
            self.connection.close()
        else:
            self.after_confirm()

    def after_confirm(self):
        """As a stream: each confirm makes room for the next message."""
        self.fill_window()


class BatchPublisher(WindowedPublisher):
    """Waits until a whole batch is confirmed before it sends the next one."""

    def after_confirm(self):
        if not self.outstanding:
            self.fill_window()


def in_batches(parameters, queue, count):
    """Better: one wait for many messages; but after a refusal it takes thought which to repeat."""
    return BatchPublisher(parameters, queue, count, BATCH_SIZE).run()


def as_a_stream(parameters, queue, count):
    """Best: the confirms are dealt with while messages keep flowing."""
    return WindowedPublisher(parameters, queue, count, BATCH_SIZE).run()


def main():
    broker = parameters()
    queue = name("confirmed_messages")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for strategy in (one_at_a_time, in_batches, as_a_stream):
        began = time.monotonic()
        confirmed = strategy(broker, queue, count)
        took_ms = (time.monotonic() - began) * 1000
        print(f"{strategy.__name__}: {confirmed} of {count} confirmed in {took_ms:.0f} ms")
    with pika.BlockingConnection(broker) as connection:
        deleted = connection.channel().queue_delete(queue).method.message_count
    print(f"the queue held {deleted} messages and is deleted")


main()
