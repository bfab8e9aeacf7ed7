"""Channels: many conversations on one connection."""

import pytest
from pika.exceptions import ConnectionClosedByBroker, NoFreeChannels

from helpers import channel_closes, connection_closes, drain

CHANNEL_MAX = 2047


def test_as_many_as_agreed_and_no_more(connect, channel, unique):
    queue = unique("queue")
    channel.queue_declare(queue)
    connection = connect()
    assert connection._impl.params.channel_max == CHANNEL_MAX
    channels = [connection.channel() for _ in range(CHANNEL_MAX)]
    assert channels[-1].channel_number == CHANNEL_MAX
    # All of them work.
    for number, each in enumerate(channels):
        each.basic_publish("", queue, b"%d" % number)
        each.queue_declare(queue, passive=True)
    assert sorted(map(int, drain(channel, queue))) == list(range(CHANNEL_MAX))

    # pika keeps to what was agreed...
    with pytest.raises(NoFreeChannels):
        connection.channel()
    # ...and the broker sees to it. Let pika believe that more was agreed:
    connection._impl.params.channel_max = CHANNEL_MAX + 1
    with pytest.raises(ConnectionClosedByBroker) as closed:
        connection.channel()
    assert closed.value.reply_code == 530
    assert closed.value.reply_text == (
        "NOT_ALLOWED - number of channels opened (2047) has reached the negotiated "
        "channel_max (2047)"
    )


def test_a_client_may_ask_for_fewer(connect):
    connection = connect(channel_max=3)
    assert connection._impl.params.channel_max == 3
    first, *_others = [connection.channel() for _ in range(3)]
    with pytest.raises(NoFreeChannels):
        connection.channel()
    # A closed channel makes room for another one.
    first.close()
    assert connection.channel().channel_number == first.channel_number


def test_any_number_may_be_chosen(connection):
    for number in (CHANNEL_MAX, 5, 1000):
        channel = connection.channel(channel_number=number)
        assert channel.channel_number == number
        channel.queue_declare("", exclusive=True)


def test_a_number_is_used_again_and_again(connection, unique):
    missing = unique("missing")
    text = f"NOT_FOUND - no queue '{missing}' in vhost '/'"
    for attempt in range(30):
        channel = connection.channel()
        assert channel.channel_number == 1
        if attempt % 2:
            channel.close()
        else:
            with channel_closes(channel, 404, text):
                channel.basic_get(missing)


def test_each_channel_begins_anew(connection, unique):
    """Nothing of a channel survives in the next one of its number."""
    queue = unique("queue")
    old = connection.channel()
    old.queue_declare(queue)
    old.confirm_delivery()
    old.basic_publish("", queue, b"x")
    old.basic_get(queue)
    old.close()
    new = connection.channel()
    assert new.channel_number == old.channel_number
    # Neither confirm mode (else tx would be refused), nor the last queue declared, nor the
    # numbering of deliveries.
    new.tx_select()
    assert new.basic_get(queue)[0].delivery_tag == 1
    with channel_closes(new, 404, "NOT_FOUND - no previously declared queue"):
        new.basic_get("")


def test_what_is_still_sent_to_a_closed_channel_is_ignored(connection, unique):
    """Publishes that cross the broker's close of the channel do no harm to the connection."""
    channel, bystander = connection.channel(), connection.channel()
    queue = unique("queue")
    bystander.queue_declare(queue)
    text = "NOT_FOUND - no exchange 'no-such-exchange' in vhost '/'"
    with channel_closes(channel, 404, text):
        send = channel._impl.basic_publish
        for _ in range(100):
            send("no-such-exchange", "key", b"x" * 1000)
    again = connection.channel()
    assert again.channel_number == channel.channel_number
    again.basic_publish("", queue, b"well")
    assert drain(again, queue) == ["well"]
    bystander.queue_declare(queue, passive=True)


def test_flow(connection):
    """A client may let the broker's messages flow (they do), but not hold them back."""
    channel = connection.channel()
    assert channel.flow(True) is True
    with connection_closes(channel, 540, "NOT_IMPLEMENTED - active=false"):
        channel.flow(False)
