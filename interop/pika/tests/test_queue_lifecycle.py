"""Queues: purged and deleted; and those that go away by themselves."""

import pytest
from pika.exceptions import ChannelClosedByBroker

from helpers import Inbox, channel_closes, drain, lose_network, publish, wait_until


def locked(queue):
    """What another connection is told that touches an exclusive queue."""
    text = (
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. "
        "It could be originally declared on another connection or the exclusive property value "
        "does not match that of the original declaration."
    )
    # A reply text has room for 255 characters.
    return text if len(text) <= 255 else text[:252] + "..."


def missing(queue):
    return f"NOT_FOUND - no queue '{queue}' in vhost '/'"


def exists(connection, queue):
    """Looks by a passive declare, on a channel that a 404 may close."""
    probe = connection.channel()
    try:
        probe.queue_declare(queue, passive=True)
    except ChannelClosedByBroker as error:
        assert (error.reply_code, error.reply_text) == (404, missing(queue))
        return False
    probe.close()
    return True


# -- purging and deleting --------------------------------------------------------------------


def test_purge_removes_what_is_ready(connection, channel, unique):
    queue = unique("queue")
    channel.queue_declare(queue)
    publish(channel, queue, b"0", b"1", b"2", b"3")
    channel.basic_get(queue)
    assert channel.queue_purge(queue).method.message_count == 3
    assert channel.queue_purge(queue).method.message_count == 0
    # What was delivered is not ready, so it survives and comes back.
    channel.close()
    assert drain(connection.channel(), queue) == ["0"]


def test_delete_counts_and_may_be_repeated(channel, unique):
    queue = unique("queue")
    channel.queue_declare(queue)
    publish(channel, queue, b"0", b"1")
    assert channel.queue_delete(queue).method.message_count == 2
    assert channel.queue_delete(queue).method.message_count == 0


def test_delete_on_conditions(connection, channel, unique):
    queue = unique("queue")
    channel.queue_declare(queue)
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"x")
    refused = connection.channel()
    text = f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"
    with channel_closes(refused, 406, text):
        refused.queue_delete(queue, if_empty=True)
    inbox = Inbox(channel, queue)
    inbox.wait_for(1)
    refused = connection.channel()
    with channel_closes(refused, 406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"):
        refused.queue_delete(queue, if_unused=True)
    inbox.ack(0)
    channel.basic_cancel(inbox.tag)
    channel.queue_delete(queue, if_unused=True, if_empty=True)
    assert not exists(connection, queue)


# -- exclusive -------------------------------------------------------------------------------


def test_an_exclusive_queue_serves_its_connection_alone(connect, unique):
    queue = unique("mine")
    owner, stranger = connect(), connect()
    channel = owner.channel()
    channel.queue_declare(queue, exclusive=True)
    # Any channel of the owner will do.
    publish(owner.channel(), queue, b"x")
    for attempt in [
        lambda channel: channel.queue_declare(queue, exclusive=True),
        lambda channel: channel.queue_declare(queue, passive=True),
        lambda channel: channel.queue_bind(queue, "amq.direct", "key"),
        lambda channel: channel.basic_get(queue),
        lambda channel: Inbox(channel, queue),
        lambda channel: channel.queue_purge(queue),
        lambda channel: channel.queue_delete(queue),
    ]:
        refused = stranger.channel()
        with channel_closes(refused, 405, locked(queue)):
            attempt(refused)
    # Publishing is not touching the queue: that is how an answer gets into a reply queue.
    stranger_channel = stranger.channel()
    stranger_channel.confirm_delivery()
    stranger_channel.basic_publish("", queue, b"y", mandatory=True)
    assert drain(channel, queue) == ["x", "y"]


@pytest.mark.parametrize("end", ["close", "loss"])
def test_an_exclusive_queue_ends_with_its_connection(connect, connection, unique, end):
    queue = unique("mine")
    owner = connect()
    channel = owner.channel()
    channel.queue_declare(queue, exclusive=True)
    # Not with its channel.
    channel.close()
    assert owner.channel().queue_declare(queue, passive=True).method.queue == queue
    if end == "close":
        owner.close()
        # Gone before the close was answered.
        assert not exists(connection, queue)
    else:
        lose_network(owner)
        wait_until(lambda: can_declare(connection, queue), connection)


def can_declare(connection, queue):
    """True once the name is free (until then it is locked)."""
    channel = connection.channel()
    try:
        channel.queue_declare(queue, exclusive=True)
    except ChannelClosedByBroker as error:
        assert error.reply_code == 405
        return False
    return True


def test_an_exclusive_queue_is_never_durable(channel, unique):
    queue = unique("mine")
    channel.queue_declare(queue, exclusive=True, durable=True)
    channel.queue_declare(queue, exclusive=True, durable=False)


def test_exclusive_or_not_must_agree(channel, unique):
    queue = unique("shared")
    channel.queue_declare(queue)
    with channel_closes(channel, 405, locked(queue)):
        channel.queue_declare(queue, exclusive=True)


# -- auto-delete -----------------------------------------------------------------------------


def test_an_auto_delete_queue_ends_with_its_last_consumer(connection, channel, unique):
    queue = unique("fleeting")
    channel.queue_declare(queue, auto_delete=True)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    channel.basic_cancel(first.tag)
    assert exists(connection, queue)
    channel.basic_cancel(second.tag)
    assert not exists(connection, queue)


def test_an_auto_delete_queue_waits_for_its_first_consumer(connect, connection, unique):
    queue = unique("fleeting")
    creator = connect()
    channel = creator.channel()
    channel.queue_declare(queue, auto_delete=True)
    publish(channel, queue, b"x")
    # Neither a basic.get nor the end of its creator counts.
    assert channel.basic_get(queue, auto_ack=True)[2] == b"x"
    creator.close()
    assert exists(connection, queue)


@pytest.mark.parametrize("end", ["channel", "connection"])
def test_an_auto_delete_queue_ends_when_its_consumer_vanishes(connect, connection, unique, end):
    queue = unique("fleeting")
    consuming = connect()
    channel = consuming.channel()
    channel.queue_declare(queue, auto_delete=True)
    Inbox(channel, queue)
    channel.close() if end == "channel" else consuming.close()
    assert not exists(connection, queue)
