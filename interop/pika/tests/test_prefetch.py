"""Prefetch: how many unacknowledged messages the broker sends ahead.

basic.qos with global_qos=False is a limit for each consumer that is started later on the channel;
with global_qos=True it is one limit that all consumers of the channel share.
"""

import pytest

from helpers import Inbox, depth, drain, publish, stays_quiet, wait_until


@pytest.fixture
def queue(channel, unique):
    """A queue with the messages 0 to 19."""
    name = unique("queue")
    channel.queue_declare(name)
    publish(channel, name, *(b"%d" % number for number in range(20)))
    return name


def await_total(*inboxes, total):
    """Waits until they have `total` messages, and no more come; gives how many each has."""
    connections = [inboxes[0].channel.connection]
    wait_until(lambda: sum(len(inbox.deliveries) for inbox in inboxes) >= total, *connections)
    stays_quiet(connections, seconds=0.15)
    each = [len(inbox.deliveries) for inbox in inboxes]
    assert sum(each) == total
    return each


def test_without_a_limit_everything_comes_at_once(channel, queue):
    inbox = Inbox(channel, queue)
    inbox.wait_for(20)
    assert depth(channel, queue) == 0


def test_each_consumer_has_its_own_limit(channel, queue):
    channel.basic_qos(prefetch_count=3)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    assert await_total(first, second, total=6) == [3, 3]
    assert first.bodies + second.bodies == ["0", "1", "2", "3", "4", "5"]


def test_an_acknowledgement_makes_room_for_one(channel, queue):
    channel.basic_qos(prefetch_count=3)
    inbox = Inbox(channel, queue)
    await_total(inbox, total=3)
    inbox.ack(1)
    await_total(inbox, total=4)
    channel.basic_ack(inbox.deliveries[3].method.delivery_tag, multiple=True)
    await_total(inbox, total=7)
    assert inbox.bodies == [str(number) for number in range(7)]


def test_reject_and_nack_make_room_too(channel, queue):
    channel.basic_qos(prefetch_count=2)
    inbox = Inbox(channel, queue)
    inbox.wait_for(2)
    channel.basic_reject(inbox.deliveries[0].method.delivery_tag, requeue=False)
    inbox.wait_for(3)
    channel.basic_nack(inbox.deliveries[1].method.delivery_tag, requeue=False)
    inbox.wait_for(4)
    await_total(inbox, total=4)


def test_a_new_limit_is_for_later_consumers(channel, queue):
    channel.basic_qos(prefetch_count=2)
    early = Inbox(channel, queue)
    channel.basic_qos(prefetch_count=5)
    late = Inbox(channel, queue)
    channel.basic_qos(prefetch_count=1)
    assert await_total(early, late, total=7) == [2, 5]


def test_zero_takes_the_limit_away(channel, queue):
    channel.basic_qos(prefetch_count=2)
    limited = Inbox(channel, queue)
    channel.basic_qos(prefetch_count=0)
    unlimited = Inbox(channel, queue)
    assert await_total(limited, unlimited, total=20) == [2, 18]


def test_consumers_share_the_limit_of_the_channel(channel, queue, unique):
    other_queue = unique("other")
    channel.queue_declare(other_queue)
    publish(channel, other_queue, *(b"%d" % number for number in range(20)))
    channel.basic_qos(prefetch_count=5, global_qos=True)
    # Over two queues and three consumers it is still five in all.
    inboxes = [Inbox(channel, queue), Inbox(channel, other_queue), Inbox(channel, queue)]
    await_total(*inboxes, total=5)
    # Whoever acknowledges, one more comes.
    holder = next(inbox for inbox in inboxes if inbox.deliveries)
    holder.ack(0)
    await_total(*inboxes, total=6)
    channel.basic_ack(0, multiple=True)
    await_total(*inboxes, total=11)


def test_another_channel_has_its_own_limit(connection, channel, queue):
    limited, free = connection.channel(), connection.channel()
    limited.basic_qos(prefetch_count=2, global_qos=True)
    held_back = Inbox(limited, queue)
    await_total(held_back, total=2)
    assert await_total(Inbox(free, queue), held_back, total=20) == [18, 2]


def test_the_channel_limit_holds_for_consumers_already_there(channel, unique):
    queue = unique("later")
    channel.queue_declare(queue)
    inbox = Inbox(channel, queue)
    channel.basic_qos(prefetch_count=4, global_qos=True)
    publish(channel, queue, *(b"%d" % number for number in range(10)))
    await_total(inbox, total=4)


def test_raising_the_channel_limit_lets_more_through(channel, queue):
    channel.basic_qos(prefetch_count=2, global_qos=True)
    inbox = Inbox(channel, queue)
    await_total(inbox, total=2)
    channel.basic_qos(prefetch_count=6, global_qos=True)
    await_total(inbox, total=6)
    channel.basic_qos(prefetch_count=0, global_qos=True)
    await_total(inbox, total=20)


def test_both_limits_hold_together(channel, queue):
    channel.basic_qos(prefetch_count=4)
    channel.basic_qos(prefetch_count=6, global_qos=True)
    first, second = Inbox(channel, queue), Inbox(channel, queue)
    assert max(await_total(first, second, total=6)) <= 4


def test_auto_ack_is_not_limited(channel, queue):
    channel.basic_qos(prefetch_count=1)
    inbox = Inbox(channel, queue, auto_ack=True)
    inbox.wait_for(20)


def test_basic_get_does_not_count(channel, queue):
    channel.basic_qos(prefetch_count=2)
    for _ in range(5):
        channel.basic_get(queue)
    inbox = Inbox(channel, queue)
    await_total(inbox, total=2)
    assert inbox.bodies == ["5", "6"]


def test_a_cancelled_consumer_still_counts_for_its_channel(channel, queue):
    channel.basic_qos(prefetch_count=3, global_qos=True)
    gone = Inbox(channel, queue)
    gone.wait_for(3)
    channel.basic_cancel(gone.tag)
    # Its three messages are still open, so there is no room for another consumer's.
    successor = Inbox(channel, queue)
    await_total(successor, total=0)
    channel.basic_ack(0, multiple=True)
    await_total(successor, total=3)


def test_held_back_messages_are_free_for_others(connection, channel, queue):
    channel.basic_qos(prefetch_count=5)
    inbox = Inbox(channel, queue)
    inbox.wait_for(5)
    assert drain(connection.channel(), queue) == [str(number) for number in range(5, 20)]
