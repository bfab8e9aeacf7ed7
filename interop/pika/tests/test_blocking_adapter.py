"""BlockingConnection: every call waits for the broker's answer. The easiest adapter to begin with.

Callbacks run only inside calls such as process_data_events and start_consuming.
"""

import threading

import pika
import pytest
from pika.exceptions import (
    ChannelClosedByBroker,
    ChannelWrongStateError,
    ConnectionClosedByBroker,
    ConnectionWrongStateError,
    UnroutableError,
)

from helpers import Inbox, depth, drain, publish, wait_until


def test_hello_world(broker, unique):
    queue = unique("hello")
    with pika.BlockingConnection(broker.parameters()) as connection:
        channel = connection.channel()
        declared = channel.queue_declare(queue).method
        assert (declared.queue, declared.message_count, declared.consumer_count) == (queue, 0, 0)
        channel.basic_publish("", queue, b"Hello World!")
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        assert (method.exchange, method.routing_key, method.redelivered) == ("", queue, False)
        assert (method.message_count, body) == (0, b"Hello World!")
        assert properties == pika.BasicProperties()
    assert connection.is_closed


def test_what_the_broker_says_of_itself(connection):
    assert connection.basic_nack_supported
    assert connection.consumer_cancel_notify_supported
    assert connection.exchange_exchange_bindings_supported
    assert connection.publisher_confirms_supported
    properties = connection._impl.server_properties
    assert properties["product"] == "RabbitMQ"
    assert int(properties["version"].split(".")[0]) >= 3
    assert all(properties["capabilities"].values())


def test_publish_with_confirms(channel, unique):
    queue = unique("confirmed")
    channel.queue_declare(queue, durable=True)
    channel.confirm_delivery()
    persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    for number in range(20):
        # Returns when the broker has confirmed this very message.
        channel.basic_publish("", queue, f"{number}".encode(), persistent, mandatory=True)
        assert depth(channel, queue) == number + 1


def test_consume_and_acknowledge(connection, channel, unique):
    queue = unique("work")
    channel.queue_declare(queue)
    publish(channel, queue, b"a", b"b", b"c")
    seen = []

    def on_message(channel, method, _properties, body):
        seen.append(body)
        channel.basic_ack(method.delivery_tag)
        if body == b"c":
            channel.stop_consuming()

    tag = channel.basic_consume(queue, on_message)
    assert channel.consumer_tags == [tag]
    channel.start_consuming()
    assert seen == [b"a", b"b", b"c"]
    assert channel.consumer_tags == []
    channel.close()
    # All were acknowledged, so nothing came back when the channel closed.
    assert depth(connection.channel(), queue) == 0


def test_consume_as_an_iterator(connection, channel, unique):
    queue = unique("iterated")
    channel.queue_declare(queue)
    publish(channel, queue, *(f"{number}".encode() for number in range(10)))
    channel.basic_qos(prefetch_count=4)
    bodies = []
    for method, _properties, body in channel.consume(queue, inactivity_timeout=30):
        bodies.append(body.decode())
        channel.basic_ack(method.delivery_tag)
        if len(bodies) == 6:
            break
    channel.cancel()
    assert bodies == ["0", "1", "2", "3", "4", "5"]
    # The messages that were on their way when we left are back where they were.
    assert drain(channel, queue) == ["6", "7", "8", "9"]


def test_return_of_an_unroutable_message(channel, unique):
    channel.confirm_delivery()
    nowhere = unique("nowhere")
    with pytest.raises(UnroutableError) as refused:
        channel.basic_publish("", nowhere, b"lost", mandatory=True)
    (returned,) = refused.value.messages
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert (returned.method.exchange, returned.method.routing_key) == ("", nowhere)
    assert returned.body == b"lost"
    # Unroutable is no error: the channel goes on.
    assert channel.is_open


def test_channel_error_leaves_the_connection_open(connection, channel, unique):
    missing = unique("missing")
    with pytest.raises(ChannelClosedByBroker) as closed:
        channel.queue_declare(missing, passive=True)
    assert closed.value.reply_code == 404
    assert closed.value.reply_text == f"NOT_FOUND - no queue '{missing}' in vhost '/'"
    assert channel.is_closed
    with pytest.raises(ChannelWrongStateError):
        channel.queue_declare(missing)
    # The next channel gets the same number and works.
    again = connection.channel()
    assert again.channel_number == channel.channel_number
    assert again.queue_declare(missing).method.queue == missing


def test_connection_error_closes_everything(connect, unique):
    connection = connect()
    channel, bystander = connection.channel(), connection.channel()
    channel.queue_declare(unique("any"))
    with pytest.raises(ConnectionClosedByBroker) as closed:
        channel.basic_qos(prefetch_size=1)
    assert closed.value.reply_code == 540
    assert closed.value.reply_text == "NOT_IMPLEMENTED - prefetch_size!=0 (1)"
    assert connection.is_closed and channel.is_closed and bystander.is_closed


def test_close_by_the_client(connect, unique):
    connection = connect()
    channel = connection.channel()
    queue = unique("mine")
    channel.queue_declare(queue, exclusive=True)
    Inbox(channel, queue)
    channel.close()
    assert channel.is_closed and connection.is_open
    connection.close()
    assert connection.is_closed
    with pytest.raises(ConnectionWrongStateError):
        connection.channel()


def test_cancel_by_the_broker(connection, channel, unique):
    queue = unique("doomed")
    channel.queue_declare(queue)
    inbox = Inbox(channel, queue)
    cancelled = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    connection.channel().queue_delete(queue)
    wait_until(lambda: cancelled, connection)
    assert cancelled == [inbox.tag]
    assert channel.consumer_tags == []
    assert channel.is_open


def test_another_thread_may_ask_for_a_call(connection, channel, unique):
    """The one thing of a BlockingConnection that is safe to call from another thread."""
    queue = unique("threads")
    channel.queue_declare(queue)
    worker = threading.Thread(
        target=lambda: connection.add_callback_threadsafe(lambda: publish(channel, queue, b"x"))
    )
    worker.start()
    worker.join()
    inbox = Inbox(channel, queue, auto_ack=True)
    assert inbox.wait_for(1)[0].body == b"x"
