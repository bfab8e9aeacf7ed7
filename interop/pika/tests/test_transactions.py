"""Transactions: publishes and acknowledgements that happen together or not at all."""

import pytest

from helpers import Inbox, channel_closes, depth, drain, lose_network, publish, wait_until


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


@pytest.fixture
def tx(connection):
    """A transactional channel beside the ordinary one."""
    channel = connection.channel()
    channel.tx_select()
    return channel


def test_commit_publishes(channel, tx, queue):
    publish(tx, queue, b"one", b"two")
    assert depth(tx, queue) == 0
    tx.tx_commit()
    assert drain(channel, queue) == ["one", "two"]


def test_rollback_drops_what_was_published(channel, tx, queue):
    publish(tx, queue, b"regretted")
    tx.tx_rollback()
    publish(tx, queue, b"meant")
    tx.tx_commit()
    assert drain(channel, queue) == ["meant"]


def test_a_commit_is_followed_by_the_next_transaction(channel, tx, queue):
    publish(tx, queue, b"first")
    tx.tx_commit()
    publish(tx, queue, b"second")
    assert drain(channel, queue) == ["first"]
    tx.tx_commit()
    assert drain(channel, queue) == ["second"]


def test_closing_the_channel_rolls_back(channel, tx, queue):
    publish(channel, queue, b"old")
    method, _properties, _body = tx.basic_get(queue)
    tx.basic_ack(method.delivery_tag)
    publish(tx, queue, b"new")
    tx.close()
    # The publish never happened, nor did the acknowledgement.
    method, _properties, body = channel.basic_get(queue)
    assert (body, method.redelivered, method.message_count) == (b"old", True, 0)


def test_losing_the_connection_rolls_back(connect, channel, queue):
    lost = connect()
    tx = lost.channel()
    tx.tx_select()
    publish(channel, queue, b"old")
    method, _properties, _body = tx.basic_get(queue)
    tx.basic_ack(method.delivery_tag)
    publish(tx, queue, b"new")
    lose_network(lost)
    wait_until(lambda: depth(channel, queue) == 1, channel.connection)
    assert drain(channel, queue) == ["old"]


def test_commit_acknowledges(channel, tx, queue):
    publish(channel, queue, b"0", b"1", b"2")
    for _ in range(3):
        tx.basic_get(queue)
    tx.basic_ack(1)
    tx.basic_reject(2, requeue=True)
    tx.basic_nack(3, requeue=False)
    assert depth(channel, queue) == 0
    tx.tx_commit()
    tx.close()
    assert drain(channel, queue) == ["1"]


def test_rollback_undoes_acknowledgements(channel, tx, queue):
    publish(channel, queue, b"0", b"1")
    for _ in range(2):
        tx.basic_get(queue)
    tx.basic_ack(2, multiple=True)
    tx.tx_rollback()
    # The messages are open again, and stay with this channel: nothing is redelivered.
    assert depth(channel, queue) == 0
    tx.basic_ack(1)
    tx.tx_commit()
    tx.close()
    assert drain(channel, queue) == ["1"]


def test_move_from_queue_to_queue(channel, tx, queue, unique):
    """What transactions are for: a message is in one queue or in the other, never in both."""
    target = unique("target")
    channel.queue_declare(target)
    publish(channel, queue, b"a", b"b", b"c")
    inbox = Inbox(tx, queue)
    for position, commit in enumerate([True, False, True]):
        delivery = inbox.wait_for(3)[position]
        publish(tx, target, delivery.body)
        inbox.ack(position)
        tx.tx_commit() if commit else tx.tx_rollback()
    tx.close()
    assert drain(channel, target) == ["a", "c"]
    assert drain(channel, queue) == ["b"]


def test_an_open_acknowledgement_does_not_free_the_prefetch(channel, connection, queue):
    tx = connection.channel()
    tx.tx_select()
    tx.basic_qos(prefetch_count=1)
    publish(channel, queue, b"0", b"1")
    inbox = Inbox(tx, queue)
    inbox.wait_for(1)
    inbox.ack(0)
    connection.process_data_events(time_limit=0.2)
    assert inbox.bodies == ["0"]
    tx.tx_commit()
    inbox.wait_for(2)


def test_returns_come_at_commit(connection, tx, unique):
    returned = []
    tx.add_on_return_callback(lambda _channel, method, _properties, body: returned.append(body))
    tx.basic_publish("", unique("nowhere"), b"lost", mandatory=True)
    connection.process_data_events(time_limit=0.2)
    assert returned == []
    tx.tx_commit()
    connection.process_data_events(time_limit=0)
    assert returned == [b"lost"]


def test_an_error_inside_loses_the_transaction(connection, channel, tx, queue):
    publish(tx, queue, b"lost")
    missing = queue + ".missing"
    with channel_closes(tx, 404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
        tx.queue_declare(missing, passive=True)
    assert drain(channel, queue) == []


def test_selecting_twice_is_fine(channel, tx, queue):
    publish(tx, queue, b"one")
    tx.tx_select()
    tx.tx_commit()
    assert drain(channel, queue) == ["one"]


@pytest.mark.parametrize("call", ["tx_commit", "tx_rollback"])
def test_a_plain_channel_has_nothing_to_commit(channel, call):
    with channel_closes(channel, 406, "PRECONDITION_FAILED - channel is not transactional"):
        getattr(channel, call)()


def test_transactions_and_confirms_exclude_each_other(connection, tx):
    with channel_closes(tx, 406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"):
        tx.confirm_delivery()
    sure = connection.channel()
    sure.confirm_delivery()
    with channel_closes(sure, 406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode"):
        sure.tx_select()
