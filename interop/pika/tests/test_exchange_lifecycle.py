"""Exchanges: declared, looked up, deleted; those that go away by themselves; the built-in ones."""

import pytest
from pika.exceptions import ChannelClosedByBroker
from pika.exchange_type import ExchangeType

from helpers import channel_closes, connection_closes, publish


@pytest.fixture
def exchange(channel, unique):
    name = unique("exchange")
    channel.exchange_declare(name)
    return name


@pytest.fixture
def queue(channel, unique):
    name = unique("queue")
    channel.queue_declare(name)
    return name


def exists(connection, exchange):
    probe = connection.channel()
    try:
        probe.exchange_declare(exchange, passive=True)
    except ChannelClosedByBroker as error:
        assert error.reply_code == 404
        assert error.reply_text == f"NOT_FOUND - no exchange '{exchange}' in vhost '/'"
        return False
    probe.close()
    return True


def test_declared_and_deleted(connection, channel, unique):
    name = unique("exchange")
    assert not exists(connection, name)
    channel.exchange_declare(name, ExchangeType.topic, durable=True)
    assert exists(connection, name)
    channel.exchange_delete(name)
    assert not exists(connection, name)
    # Deleting what is not there is fine.
    channel.exchange_delete(name)


def test_passive_only_looks(channel, exchange):
    # A type is not compared, not even read.
    channel.exchange_declare(exchange, "no-such-type", passive=True, durable=True)


def test_declaring_again_must_agree(connection, channel, unique):
    name = unique("exchange")
    properties = {
        "exchange_type": "direct",
        "durable": False,
        "auto_delete": False,
        "internal": False,
    }
    channel.exchange_declare(name, **properties)
    channel.exchange_declare(name, **properties)
    for changed, received, current in [
        ("exchange_type", "fanout", "direct"),
        ("durable", "true", "false"),
        ("auto_delete", "true", "false"),
        ("internal", "true", "false"),
    ]:
        value = received if changed == "exchange_type" else True
        argument = changed.removeprefix("exchange_")
        text = (
            f"PRECONDITION_FAILED - inequivalent arg '{argument}' for exchange '{name}' "
            f"in vhost '/': received '{received}' but current is '{current}'"
        )
        refused = connection.channel()
        with channel_closes(refused, 406, text):
            refused.exchange_declare(name, **(properties | {changed: value}))


def test_an_unknown_type(channel, unique, peer_is_rabbitmq):
    name = unique("exchange")
    if peer_is_rabbitmq:
        # Before 4.0 this closed the whole connection.
        with connection_closes(channel, 503, "COMMAND_INVALID - unknown exchange type 'sideways'"):
            channel.exchange_declare(name, "sideways")
    else:
        text = "PRECONDITION_FAILED - unknown exchange type 'sideways'"
        with channel_closes(channel, 406, text):
            channel.exchange_declare(name, "sideways")


def test_delete_if_unused(connection, channel, exchange, queue):
    channel.queue_bind(queue, exchange, "key")
    refused = connection.channel()
    text = f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use"
    with channel_closes(refused, 406, text):
        refused.exchange_delete(exchange, if_unused=True)
    channel.queue_unbind(queue, exchange, "key")
    channel.exchange_delete(exchange, if_unused=True)
    assert not exists(connection, exchange)


def test_deleting_takes_the_bindings_along(channel, exchange, queue):
    channel.queue_bind(queue, exchange, "key")
    channel.exchange_delete(exchange)
    channel.exchange_declare(exchange)
    channel.basic_publish(exchange, "key", b"to nobody")
    publish(channel, queue, b"direct")
    assert channel.basic_get(queue, auto_ack=True)[2] == b"direct"


def test_an_auto_delete_exchange_ends_with_its_last_binding(connection, channel, queue, unique):
    name = unique("fleeting")
    channel.exchange_declare(name, auto_delete=True)
    # It waits for its first binding.
    assert exists(connection, name)
    channel.queue_bind(queue, name, "one")
    channel.queue_bind(queue, name, "two")
    channel.queue_unbind(queue, name, "one")
    assert exists(connection, name)
    channel.queue_unbind(queue, name, "two")
    assert not exists(connection, name)


def test_an_auto_delete_exchange_ends_with_the_queue_it_fed(connection, channel, queue, unique):
    name = unique("fleeting")
    channel.exchange_declare(name, auto_delete=True)
    channel.queue_bind(queue, name, "key")
    channel.queue_delete(queue)
    assert not exists(connection, name)


def test_auto_delete_goes_up_a_chain(connection, channel, queue, unique):
    upper, lower = unique("upper"), unique("lower")
    for name in (upper, lower):
        channel.exchange_declare(name, ExchangeType.fanout, auto_delete=True)
    channel.exchange_bind(destination=lower, source=upper)
    channel.queue_bind(queue, lower)
    channel.queue_delete(queue)
    assert not exists(connection, lower)
    assert not exists(connection, upper)


def test_unbinding_what_is_not_bound(channel, exchange, queue):
    channel.queue_unbind(queue, exchange, "never bound")
    channel.queue_unbind(queue + ".missing", exchange, "key")
    channel.queue_unbind(queue, exchange + ".missing", "key")
    channel.exchange_unbind(exchange, exchange + ".missing", "key")


@pytest.mark.parametrize(
    "name, kind",
    [
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.topic", "topic"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
    ],
)
def test_the_built_in_exchanges(channel, queue, name, kind):
    # Declaring them is allowed if it changes nothing.
    channel.exchange_declare(name, kind, durable=True)
    channel.queue_bind(queue, name, queue)
    channel.confirm_delivery()
    channel.basic_publish(name, queue, b"x", mandatory=True)
    channel.queue_unbind(queue, name, queue)
    text = f"ACCESS_REFUSED - deletion of system exchange '{name}' in vhost '/' not allowed"
    with channel_closes(channel, 403, text):
        channel.exchange_delete(name)


def test_the_default_exchange_is_untouchable(connection, queue, exchange):
    for attempt in [
        lambda channel: channel.exchange_declare("", passive=True),
        lambda channel: channel.exchange_delete(""),
        lambda channel: channel.queue_bind(queue, "", "key"),
        lambda channel: channel.queue_unbind(queue, "", "key"),
        lambda channel: channel.exchange_bind(exchange, "", "key"),
    ]:
        channel = connection.channel()
        text = "ACCESS_REFUSED - operation not permitted on the default exchange"
        with channel_closes(channel, 403, text):
            attempt(channel)


def test_names_that_begin_with_amq_are_reserved(connection):
    channel = connection.channel()
    text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"
    with channel_closes(channel, 403, text):
        channel.exchange_declare("amq.mine")
    channel = connection.channel()
    text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"
    with channel_closes(channel, 403, text):
        channel.queue_declare("amq.mine")
