"""The end of a consumer: cancelled by itself, or by the broker because its queue is gone."""

import pika
import pytest

from helpers import Inbox, channel_closes, depth, drain, publish, stays_quiet, wait_until


class Cancels:
    """Notes which consumers of a channel the broker cancels."""

    def __init__(self, channel):
        self.connection = channel.connection
        self.tags = []
        channel.add_on_cancel_callback(lambda frame: self.tags.append(frame.method.consumer_tag))

    def wait_for(self, *tags):
        wait_until(lambda: len(self.tags) >= len(tags), self.connection)
        assert sorted(self.tags) == sorted(tags)


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


def test_another_connection_deletes_the_queue(connect, channel, queue):
    cancels = Cancels(channel)
    inbox = Inbox(channel, queue)
    connect().channel().queue_delete(queue)
    cancels.wait_for(inbox.tag)
    assert channel.is_open and channel.consumer_tags == []


def test_every_consumer_of_the_queue_is_told(connect, channel, queue, unique):
    cancels = Cancels(channel)
    other_channel = connect().channel()
    other_cancels = Cancels(other_channel)
    unaffected = unique("unaffected")
    channel.queue_declare(unaffected)
    stays = Inbox(channel, unaffected)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    third = Inbox(other_channel, queue)
    connect().channel().queue_delete(queue)
    cancels.wait_for(first.tag, second.tag)
    other_cancels.wait_for(third.tag)
    # Other consumers of the channel go on.
    publish(channel, unaffected, b"still here")
    stays.wait_for(1)


def test_the_channel_that_deletes_is_told_too(channel, queue):
    cancels = Cancels(channel)
    inbox = Inbox(channel, queue)
    assert channel.queue_delete(queue).method.message_count == 0
    cancels.wait_for(inbox.tag)


def test_start_consuming_ends_when_the_last_consumer_is_gone(connection, channel, queue):
    channel.basic_consume(queue, lambda *_message: None)
    connection.call_later(0.1, lambda: connection.channel().queue_delete(queue))
    channel.start_consuming()
    assert channel.consumer_tags == []


def test_what_was_delivered_before_can_still_be_acknowledged(connect, channel, queue):
    cancels = Cancels(channel)
    inbox = Inbox(channel, queue)
    publish(channel, queue, b"0", b"1")
    inbox.wait_for(2)
    connect().channel().queue_delete(queue)
    cancels.wait_for(inbox.tag)
    # The messages went with the queue. Settling them is pointless, but no error.
    inbox.ack(0)
    channel.basic_nack(inbox.deliveries[1].method.delivery_tag, requeue=True)
    channel.queue_declare(queue)
    assert depth(channel, queue) == 0


def test_the_queue_comes_back_and_the_consumer_too(connect, channel, queue):
    cancels = Cancels(channel)
    tag = Inbox(channel, queue, consumer_tag="phoenix").tag
    connect().channel().queue_delete(queue)
    cancels.wait_for(tag)
    # The tag is free again.
    channel.queue_declare(queue)
    again = Inbox(channel, queue, consumer_tag="phoenix")
    publish(channel, queue, b"x")
    again.wait_for(1)


def test_a_client_that_does_not_know_of_cancels_is_not_told(connect, channel, queue):
    """pika can; so it is made to say at the handshake that it cannot."""
    old_fashioned = connect(client_properties={"capabilities": {"consumer_cancel_notify": False}})
    deaf = old_fashioned.channel()
    cancels = Cancels(deaf)
    Inbox(deaf, queue)
    channel.queue_delete(queue)
    stays_quiet([old_fashioned])
    assert cancels.tags == []
    assert deaf.is_open


def test_cancelling_leaves_open_messages_open(connection, channel, queue):
    publish(channel, queue, b"0", b"1")
    inbox = Inbox(channel, queue)
    inbox.wait_for(2)
    channel.basic_cancel(inbox.tag)
    assert channel.queue_declare(queue, passive=True).method.consumer_count == 0
    # Neither requeued...
    assert depth(channel, queue) == 0
    # ...nor lost: one is acknowledged now, the other comes back with the end of the channel.
    inbox.ack(0)
    channel.close()
    assert drain(connection.channel(), queue) == ["1"]


def test_nothing_is_delivered_after_cancel_ok(channel, queue):
    inbox = Inbox(channel, queue)
    channel.basic_cancel(inbox.tag)
    publish(channel, queue, b"x")
    stays_quiet([channel.connection])
    assert inbox.deliveries == []
    assert drain(channel, queue) == ["x"]


def test_cancelling_what_does_not_exist_is_answered(channel):
    """pika would not send this, so it is sent by hand."""
    answers = []
    channel._impl._rpc(pika.spec.Basic.Cancel("nobody"), answers.append, [pika.spec.Basic.CancelOk])
    wait_until(lambda: answers, channel.connection)
    assert answers[0].method.consumer_tag == "nobody"


def test_consuming_from_a_queue_that_was_deleted(channel, queue):
    channel.queue_delete(queue)
    with channel_closes(channel, 404, f"NOT_FOUND - no queue '{queue}' in vhost '/'"):
        Inbox(channel, queue)
