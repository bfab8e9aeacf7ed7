"""Acknowledging, rejecting and requeueing what was delivered."""

import pytest
from pika import spec

from helpers import Inbox, channel_closes, connection_closes, depth, drain, publish


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


@pytest.fixture
def filled(channel, queue):
    """The queue with the messages 0 to 4."""
    publish(channel, queue, b"0", b"1", b"2", b"3", b"4")
    return queue


def get(channel, queue):
    """Takes one message without acknowledging it."""
    method, _properties, body = channel.basic_get(queue)
    return method, body.decode()


def test_requeued_messages_return_to_their_place(channel, filled):
    taken = [get(channel, filled) for _ in range(3)]
    # 1 goes back first, then 0: they stand where they stood, whatever the order.
    channel.basic_nack(taken[1][0].delivery_tag, requeue=True)
    channel.basic_nack(taken[0][0].delivery_tag, requeue=True)
    channel.basic_ack(taken[2][0].delivery_tag)
    order = [get(channel, filled) for _ in range(4)]
    assert [body for _method, body in order] == ["0", "1", "3", "4"]
    assert [method.redelivered for method, _body in order] == [True, True, False, False]


def test_reject_with_requeue(channel, filled):
    method, body = get(channel, filled)
    assert (body, method.redelivered) == ("0", False)
    channel.basic_reject(method.delivery_tag, requeue=True)
    again, body = get(channel, filled)
    assert (body, again.redelivered) == ("0", True)
    assert again.delivery_tag == method.delivery_tag + 1


def test_a_consumer_that_requeues_gets_the_message_again(channel, queue):
    inbox = Inbox(channel, queue)
    publish(channel, queue, b"again and again")
    for attempt in range(4):
        delivery = inbox.wait_for(attempt + 1)[-1]
        assert delivery.method.redelivered == (attempt > 0)
        channel.basic_nack(delivery.method.delivery_tag, requeue=attempt < 3)
    assert depth(channel, queue) == 0


def test_requeue_passes_to_another_consumer(connect, channel, queue):
    refusing = Inbox(channel, queue)
    publish(channel, queue, b"not for me")
    refusing.wait_for(1)
    taking = Inbox(connect().channel(), queue)
    channel.basic_cancel(refusing.tag)
    channel.basic_reject(refusing.deliveries[0].method.delivery_tag, requeue=True)
    assert taking.wait_for(1)[0].method.redelivered


def test_reject_without_requeue_drops(connection, channel, filled):
    first, _body = get(channel, filled)
    channel.basic_reject(first.delivery_tag, requeue=False)
    second, _body = get(channel, filled)
    channel.basic_nack(second.delivery_tag, requeue=False)
    channel.close()
    assert drain(connection.channel(), filled) == ["2", "3", "4"]


def test_ack_of_several(connection, channel, filled):
    tags = [get(channel, filled)[0].delivery_tag for _ in range(5)]
    assert tags == [1, 2, 3, 4, 5]
    channel.basic_ack(2)
    # Everything up to 4 that is still open.
    channel.basic_ack(4, multiple=True)
    channel.close()
    assert drain(connection.channel(), filled) == ["4"]


def test_nack_of_several(channel, filled):
    for _ in range(4):
        get(channel, filled)
    channel.basic_nack(2, multiple=True, requeue=False)
    channel.basic_nack(0, multiple=True, requeue=True)
    assert drain(channel, filled) == ["2", "3", "4"]


def test_tag_zero_means_all(connection, channel, filled):
    for _ in range(3):
        get(channel, filled)
    channel.basic_ack(0, multiple=True)
    # With nothing left to acknowledge it is still no error.
    channel.basic_ack(0, multiple=True)
    channel.close()
    assert drain(connection.channel(), filled) == ["3", "4"]


@pytest.mark.parametrize("settle", ["basic_ack", "basic_nack", "basic_reject"])
def test_settling_twice_is_an_error(channel, filled, settle):
    method, _body = get(channel, filled)
    channel.basic_ack(method.delivery_tag)
    with channel_closes(channel, 406, "PRECONDITION_FAILED - unknown delivery tag 1"):
        getattr(channel, settle)(method.delivery_tag)


def test_an_unknown_tag_is_an_error(channel, filled):
    with channel_closes(channel, 406, "PRECONDITION_FAILED - unknown delivery tag 99"):
        channel.basic_ack(99)


def test_there_is_nothing_to_acknowledge_with_auto_ack(channel, filled):
    method, _properties, _body = channel.basic_get(filled, auto_ack=True)
    with channel_closes(channel, 406, "PRECONDITION_FAILED - unknown delivery tag 1"):
        channel.basic_ack(method.delivery_tag)


def test_tags_belong_to_their_channel(connection, channel, filled):
    get(channel, filled)
    other = connection.channel()
    with channel_closes(other, 406, "PRECONDITION_FAILED - unknown delivery tag 1"):
        other.basic_ack(1)
    # The message still waits for its own channel.
    channel.basic_ack(1)
    assert drain(channel, filled) == ["1", "2", "3", "4"]


def test_closing_the_channel_requeues_in_order(connection, channel, filled):
    inbox = Inbox(channel, filled)
    inbox.wait_for(5)
    inbox.ack(2)
    channel.close()
    other = connection.channel()
    back = [get(other, filled) for _ in range(4)]
    assert [(body, method.redelivered) for method, body in back] == [
        ("0", True),
        ("1", True),
        ("3", True),
        ("4", True),
    ]


def test_a_channel_error_requeues(connection, channel, filled):
    get(channel, filled)
    missing = filled + ".missing"
    with channel_closes(channel, 404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
        channel.queue_declare(missing, passive=True)
    assert drain(connection.channel(), filled) == ["0", "1", "2", "3", "4"]


def test_recover_requeues_all_that_is_open(channel, filled):
    for _ in range(3):
        get(channel, filled)
    channel.basic_ack(2)
    channel.basic_recover(requeue=True)
    order = [get(channel, filled) for _ in range(4)]
    assert [(body, method.redelivered) for method, body in order] == [
        ("0", True),
        ("2", True),
        ("3", False),
        ("4", False),
    ]


def test_recover_may_pass_messages_to_others(connect, channel, filled):
    inbox = Inbox(channel, filled)
    inbox.wait_for(5)
    channel.basic_cancel(inbox.tag)
    other = Inbox(connect().channel(), filled)
    channel.basic_recover(requeue=True)
    other.wait_for(5)
    assert other.bodies == ["0", "1", "2", "3", "4"]


def test_recover_without_an_answer(channel, filled):
    """The asynchronous form of the same. pika does not offer it, so it is sent by hand."""
    get(channel, filled)
    channel._impl._send_method(spec.Basic.RecoverAsync(requeue=True))
    method, body = get(channel, filled)
    assert (body, method.redelivered) == ("0", True)


def test_recover_to_the_same_consumer_does_not_exist(channel, filled):
    with connection_closes(channel, 540, "NOT_IMPLEMENTED - requeue=false"):
        channel.basic_recover(requeue=False)
