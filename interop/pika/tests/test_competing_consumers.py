"""Competing consumers: several take from one queue, and each message goes to one of them."""

import pytest

from helpers import (
    Inbox,
    channel_closes,
    depth,
    drain,
    lose_network,
    publish,
    stays_quiet,
    wait_until,
)


@pytest.fixture
def queue(channel, unique):
    name = unique("work")
    channel.queue_declare(name)
    return name


@pytest.fixture
def worker(connect, queue):
    """`worker(prefetch=1)` starts a consumer of the queue on a connection of its own."""

    def start(prefetch=0, priority=None, **options):
        channel = connect().channel()
        channel.basic_qos(prefetch_count=prefetch)
        if priority is not None:
            options["arguments"] = {"x-priority": priority}
        return Inbox(channel, queue, **options)

    return start


def settle(*inboxes):
    """Lets all of them receive whatever the broker is willing to send."""
    stays_quiet([inbox.channel.connection for inbox in inboxes])


def wait_for_total(count, *inboxes):
    wait_until(
        lambda: sum(len(inbox.deliveries) for inbox in inboxes) == count,
        *(inbox.channel.connection for inbox in inboxes),
    )


def test_round_robin(channel, queue, worker):
    workers = [worker(auto_ack=True) for _ in range(3)]
    publish(channel, queue, *(b"%d" % number for number in range(9)))
    wait_for_total(9, *workers)
    # Each got every third message.
    shares = sorted(inbox.bodies for inbox in workers)
    assert shares == [["0", "3", "6"], ["1", "4", "7"], ["2", "5", "8"]]


def test_a_backlog_is_shared_too(channel, queue, worker):
    publish(channel, queue, *(b"%d" % number for number in range(20)))
    workers = [worker(prefetch=2) for _ in range(2)]
    wait_for_total(4, *workers)
    assert sorted(workers[0].bodies + workers[1].bodies) == ["0", "1", "2", "3"]
    assert depth(channel, queue) == 16


def test_fair_dispatch(channel, queue, worker):
    """With a prefetch of 1 the one who is done gets the next, and the busy one gets nothing."""
    busy, quick = worker(prefetch=1), worker(prefetch=1)
    publish(channel, queue, b"long job")
    wait_for_total(1, busy, quick)
    if quick.deliveries:
        busy, quick = quick, busy
    for number in range(5):
        publish(channel, queue, b"short job %d" % number)
        quick.wait_for(number + 1)
        quick.ack(number)
    settle(busy, quick)
    assert busy.bodies == ["long job"]
    assert quick.bodies == [f"short job {number}" for number in range(5)]


def test_a_worker_that_dies_loses_nothing(channel, queue, worker):
    doomed = worker(prefetch=10)
    publish(channel, queue, *(b"%d" % number for number in range(4)))
    doomed.wait_for(4)
    doomed.ack(0)
    survivor = worker()
    lose_network(doomed.channel.connection)
    survivor.wait_for(3)
    assert survivor.bodies == ["1", "2", "3"]
    assert all(delivery.method.redelivered for delivery in survivor.deliveries)


def test_a_worker_that_leaves_keeps_what_it_has(channel, queue, worker):
    leaving, staying = worker(prefetch=1), worker(prefetch=1)
    publish(channel, queue, b"0", b"1", b"2", b"3")
    wait_for_total(2, leaving, staying)
    leaving.channel.basic_cancel(leaving.tag)
    # It gets no more, but what it was given it can still settle.
    leaving.ack(0)
    for position in range(3):
        staying.ack(position)
        if position < 2:
            staying.wait_for(position + 2)
    settle(leaving, staying)
    assert (len(leaving.deliveries), len(staying.deliveries)) == (1, 3)
    assert depth(channel, queue) == 0


def test_several_consumers_on_one_channel(channel, queue):
    first = Inbox(channel, queue, consumer_tag="first", auto_ack=True)
    second = Inbox(channel, queue, consumer_tag="second", auto_ack=True)
    assert channel.queue_declare(queue, passive=True).method.consumer_count == 2
    publish(channel, queue, b"0", b"1", b"2", b"3")
    first.wait_for(2)
    second.wait_for(2)
    assert {delivery.method.consumer_tag for delivery in second.deliveries} == {"second"}
    # Delivery tags are numbered by the channel, not by the consumer.
    tags = [d.method.delivery_tag for d in first.deliveries + second.deliveries]
    assert sorted(tags) == [1, 2, 3, 4]


def test_consumer_priorities(channel, queue, worker):
    """The higher one is served as long as it can take more; the rest goes to the lower."""
    low, high = worker(priority=-5), worker(prefetch=2, priority=10)
    publish(channel, queue, b"0", b"1", b"2", b"3")
    high.wait_for(2)
    low.wait_for(2)
    assert (high.bodies, low.bodies) == (["0", "1"], ["2", "3"])
    # Free again, it comes first again. What is said on another connection could overtake the acknowledgement.
    high.ack(0)
    depth(high.channel, queue)
    publish(channel, queue, b"4", b"5")
    high.wait_for(3)
    low.wait_for(3)
    assert (high.bodies, low.bodies) == (["0", "1", "4"], ["2", "3", "5"])


def test_equal_priorities_take_turns(channel, queue, worker):
    default, zero, below = worker(), worker(priority=0), worker(priority=-1)
    publish(channel, queue, *(b"%d" % number for number in range(6)))
    wait_for_total(6, default, zero, below)
    assert below.bodies == []
    assert sorted([default.bodies, zero.bodies]) == [["0", "2", "4"], ["1", "3", "5"]]


def test_an_exclusive_consumer_tolerates_no_other(connect, channel, queue, worker):
    only = worker(exclusive=True)
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with channel_closes(other := connect().channel(), 403, text):
        Inbox(other, queue)
    # Its place is free when it leaves.
    only.channel.basic_cancel(only.tag)
    publish(channel, queue, b"x")
    worker().wait_for(1)


def test_exclusive_is_refused_when_somebody_is_there(connect, queue, worker):
    worker()
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    with channel_closes(other := connect().channel(), 403, text):
        Inbox(other, queue, exclusive=True)


def test_basic_get_competes_with_consumers(channel, queue, worker):
    consumer = worker(prefetch=1)
    publish(channel, queue, b"0", b"1", b"2")
    consumer.wait_for(1)
    assert drain(channel, queue) == ["1", "2"]
