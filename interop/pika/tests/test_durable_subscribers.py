"""Durable subscribers: each has a queue that keeps its messages while it is away.

A subscription is a durable queue and its binding, not a connection. It begins when they are made,
lasts however often the subscriber goes and comes back, and ends when they are deleted.
"""

import pika
import pytest
from pika.exceptions import UnroutableError
from pika.exchange_type import ExchangeType

from helpers import Inbox, depth, drain, lose_network

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


class Topic:
    """Publishes news, and lets subscribers come and go."""

    def __init__(self, connect, unique):
        self.connect, self.unique = connect, unique
        self.exchange = unique("news")
        self.channel = connect().channel()
        self.channel.exchange_declare(self.exchange, ExchangeType.topic, durable=True)
        self.channel.confirm_delivery()

    def tell(self, subject, *lines):
        for line in lines:
            self.channel.basic_publish(
                self.exchange, subject, line.encode(), PERSISTENT, mandatory=True
            )

    def subscribe(self, who, pattern):
        """Makes a subscription; nobody listens yet."""
        queue = self.unique(who)
        self.channel.queue_declare(queue, durable=True)
        self.channel.queue_bind(queue, self.exchange, pattern)
        return queue

    def listen(self, queue):
        """A subscriber comes (back) on a connection of its own."""
        return Inbox(self.connect().channel(), queue)


@pytest.fixture
def topic(connect, unique):
    return Topic(connect, unique)


def go_away(inbox):
    inbox.channel.connection.close()


def acknowledge_all(inbox):
    inbox.channel.basic_ack(0, multiple=True)


def test_away_back_caught_up_and_live_again(topic):
    queue = topic.subscribe("alice", "sport.*")

    # Here.
    alice = topic.listen(queue)
    topic.tell("sport.chess", "one", "two")
    alice.wait_for(2)
    assert alice.bodies == ["one", "two"]
    acknowledge_all(alice)

    # Away: the queue and its binding stay and collect.
    go_away(alice)
    topic.tell("sport.chess", "three", "four")
    topic.tell("sport.rowing", "five")
    assert depth(topic.channel, queue) == 3

    # Back: first what was missed, in the order it was sent, then what is new.
    alice = topic.listen(queue)
    alice.wait_for(3)
    topic.tell("sport.chess", "six")
    alice.wait_for(4)
    assert alice.bodies == ["three", "four", "five", "six"]
    assert not any(delivery.method.redelivered for delivery in alice.deliveries)
    assert all(delivery.properties.delivery_mode == 2 for delivery in alice.deliveries)


def test_what_was_not_acknowledged_comes_again(topic):
    queue = topic.subscribe("alice", "#")
    alice = topic.listen(queue)
    topic.tell("any", "one", "two", "three")
    alice.wait_for(3)
    alice.ack(1)
    go_away(alice)

    topic.tell("any", "four")
    alice = topic.listen(queue)
    alice.wait_for(4 - 1)
    assert [(d.body, d.method.redelivered) for d in alice.deliveries] == [
        (b"one", True),
        (b"three", True),
        (b"four", False),
    ]


def test_a_subscriber_whose_network_fails(topic, connect):
    queue = topic.subscribe("alice", "#")
    alice = topic.listen(queue)
    topic.tell("any", "one")
    alice.wait_for(1)
    lose_network(alice.channel.connection)

    alice = topic.listen(queue)
    assert alice.wait_for(1)[0].method.redelivered


def test_subscribers_do_not_wait_for_each_other(topic):
    quick, slow = topic.subscribe("quick", "#"), topic.subscribe("slow", "#")
    here = topic.listen(quick)
    for number in range(5):
        topic.tell("any", str(number))
    here.wait_for(5)
    acknowledge_all(here)
    assert depth(topic.channel, quick) == 0
    assert depth(topic.channel, slow) == 5
    assert drain(topic.channel, slow) == ["0", "1", "2", "3", "4"]


def test_subscribing_again_changes_nothing(topic):
    queue = topic.subscribe("alice", "sport.*")
    topic.tell("sport.chess", "kept")
    # What a subscriber does at each start: declare all it needs, in case it is the first time.
    topic.channel.exchange_declare(topic.exchange, ExchangeType.topic, durable=True)
    declared = topic.channel.queue_declare(queue, durable=True).method
    topic.channel.queue_bind(queue, topic.exchange, "sport.*")
    assert declared.message_count == 1
    topic.tell("sport.chess", "once")
    assert drain(topic.channel, queue) == ["kept", "once"]


def test_changing_the_subject_of_a_subscription(topic):
    queue = topic.subscribe("alice", "sport.*")
    topic.tell("sport.chess", "before")
    topic.channel.queue_bind(queue, topic.exchange, "music.*")
    topic.channel.queue_unbind(queue, topic.exchange, "sport.*")
    topic.tell("music.jazz", "after")
    with pytest.raises(UnroutableError):
        topic.tell("sport.chess", "nobody listens to this any more")
    # What was collected before the change is still there.
    assert drain(topic.channel, queue) == ["before", "after"]


def test_unsubscribing(topic):
    alice, bob = topic.subscribe("alice", "#"), topic.subscribe("bob", "#")
    topic.tell("any", "for both")
    assert topic.channel.queue_delete(alice).method.message_count == 1
    topic.tell("any", "for bob")
    assert drain(topic.channel, bob) == ["for both", "for bob"]

    # The last one leaves: the publisher is told that nobody listens, and may go on.
    topic.channel.queue_delete(bob)
    with pytest.raises(UnroutableError):
        topic.tell("any", "for nobody")

    # To come back after that is to begin anew.
    alice = topic.subscribe("alice", "#")
    topic.tell("any", "fresh")
    assert drain(topic.channel, alice) == ["fresh"]
