"""Declaring queues: what is answered, what is compared, what is refused, who names them."""

import re

from helpers import Inbox, channel_closes, publish


def missing(queue):
    return f"NOT_FOUND - no queue '{queue}' in vhost '/'"


def test_declaring_tells_how_many_messages_and_consumers(channel, unique):
    queue = unique("queue")
    declared = channel.queue_declare(queue).method
    assert (declared.queue, declared.message_count, declared.consumer_count) == (queue, 0, 0)
    channel.confirm_delivery()
    for body in (b"0", b"1", b"2"):
        channel.basic_publish("", queue, body)
    assert channel.queue_declare(queue).method.message_count == 3
    channel.basic_get(queue)
    # Only what is ready counts, not what is delivered and open.
    assert channel.queue_declare(queue).method.message_count == 2
    Inbox(channel, queue)
    Inbox(channel, queue)
    assert channel.queue_declare(queue).method.consumer_count == 2


def test_the_broker_names_a_queue(channel):
    names = [channel.queue_declare("", exclusive=True).method.queue for _ in range(3)]
    assert len(set(names)) == 3
    for name in names:
        assert re.fullmatch(r"amq\.gen-[A-Za-z0-9_-]{22}", name)
        assert channel.queue_declare(name, passive=True).method.queue == name


def test_no_name_means_the_queue_declared_last(channel, unique):
    channel.queue_declare(unique("not this one"))
    queue = channel.queue_declare("", exclusive=True).method.queue
    exchange = unique("exchange")
    channel.exchange_declare(exchange)
    # Bind, publish, get, consume, purge and delete, all without its name. With an empty routing
    # key as well, a binding's key is the queue's name.
    channel.queue_bind("", exchange, routing_key="")
    channel.basic_publish(exchange, queue, b"by the name of the queue")
    assert channel.basic_get("", auto_ack=True)[2] == b"by the name of the queue"
    publish(channel, queue, b"0", b"1")
    assert channel.queue_purge("").method.message_count == 2
    inbox = Inbox(channel, "")
    publish(channel, queue, b"x")
    inbox.wait_for(1)
    channel.queue_delete("")
    with channel_closes(channel, 404, missing(queue)):
        channel.queue_declare(queue, passive=True)


def test_no_name_and_no_queue_declared_yet(channel):
    with channel_closes(channel, 404, "NOT_FOUND - no previously declared queue"):
        channel.basic_get("")


def test_passive_only_looks(connection, unique):
    queue = unique("queue")
    channel = connection.channel()
    with channel_closes(channel, 404, missing(queue)):
        channel.queue_declare(queue, passive=True)
    channel = connection.channel()
    channel.queue_declare(queue, durable=True, arguments={"x-max-length": 10})
    # The properties are not compared.
    looked = channel.queue_declare(queue, passive=True, durable=False, auto_delete=True).method
    assert looked.queue == queue


def test_declaring_again_must_agree(connection, unique):
    queue = unique("queue")
    arguments = {"x-message-ttl": 60_000}
    connection.channel().queue_declare(queue, durable=True, arguments=arguments)
    for changed, text in [
        (
            {"durable": False},
            "'durable' for queue '{}' in vhost '/': received 'false' but current is 'true'",
        ),
        (
            {"auto_delete": True},
            "'auto_delete' for queue '{}' in vhost '/': received 'true' but current is 'false'",
        ),
        (
            {"arguments": {"x-message-ttl": 1}},
            "'x-message-ttl' for queue '{}' in vhost '/': received '1' but current is '60000'",
        ),
        (
            {"arguments": {}},
            "'x-message-ttl' for queue '{}' in vhost '/': received none but current is the value "
            "'60000' of type 'signedint'",
        ),
        (
            {"arguments": arguments | {"x-expires": 5}},
            "'x-expires' for queue '{}' in vhost '/': received the value '5' of type 'signedint' "
            "but current is none",
        ),
    ]:
        channel = connection.channel()
        text = "PRECONDITION_FAILED - inequivalent arg " + text.format(queue)
        with channel_closes(channel, 406, text):
            channel.queue_declare(queue, **({"durable": True, "arguments": arguments} | changed))
    # Arguments that mean nothing to the queue are not compared.
    same = {"x-message-ttl": 60_000, "made-up": "anything"}
    connection.channel().queue_declare(queue, durable=True, arguments=same)


def test_arguments_are_validated(connection, unique):
    queue = unique("queue")
    for arguments, reason in [
        ({"x-expires": 0}, "{value_zero,0}"),
        ({"x-message-ttl": -1}, "{value_negative,-1}"),
        ({"x-max-length": -5}, "{value_negative,-5}"),
        ({"x-max-priority": 300}, "{max_value_exceeded,300}"),
        ({"x-overflow": "sideways"}, "invalid_overflow"),
    ]:
        (name,) = arguments
        text = f"invalid arg '{name}' for queue '{queue}' in vhost '/': {reason}"
        channel = connection.channel()
        with channel_closes(channel, 406, f"PRECONDITION_FAILED - {text}"):
            channel.queue_declare(queue, arguments=arguments)
