"""Direct reply-to: request and reply without a queue for the answers.

The client consumes from a queue that does not exist, `amq.rabbitmq.reply-to`, and names it in its
request. The broker puts an address of its own in its place, and hands an answer sent there
straight to the client.
"""

import pika
import pytest

from helpers import Inbox, channel_closes, wait_until

REPLY_TO = "amq.rabbitmq.reply-to"


@pytest.fixture
def requests(channel, unique):
    name = unique("requests")
    channel.queue_declare(name)
    return name


def ask(channel, requests, question, request_id="1"):
    """Sends a request from the channel that awaits the answer: it has to be the same one."""
    properties = pika.BasicProperties(reply_to=REPLY_TO, correlation_id=request_id)
    channel.basic_publish("", requests, question, properties)


def answer(channel, request, body, **options):
    """Answers a request as any server does; it need not know where its answer goes."""
    properties = pika.BasicProperties(correlation_id=request.properties.correlation_id)
    channel.basic_publish("", request.properties.reply_to, body, properties, **options)


def test_a_question_and_its_answer(connect, channel, requests):
    client = connect().channel()
    answers = Inbox(client, REPLY_TO, auto_ack=True)
    ask(client, requests, b"how are you?", "question-7")

    request = Inbox(channel, requests, auto_ack=True).wait_for(1)[0]
    assert request.properties.reply_to.startswith(REPLY_TO + ".")
    answer(channel, request, b"fine")

    received = answers.wait_for(1)[0]
    assert (received.properties.correlation_id, received.body) == ("question-7", b"fine")
    assert (received.method.exchange, received.method.routing_key) == (
        "",
        request.properties.reply_to,
    )


def test_each_client_gets_its_own_answers(connect, channel, requests):
    clients = [connect().channel() for _ in range(3)]
    inboxes = [Inbox(client, REPLY_TO, auto_ack=True) for client in clients]
    for number in range(10):
        for who, client in enumerate(clients):
            ask(client, requests, f"{who} {number}".encode(), str(number))
    # Answered last come, first served.
    asked = Inbox(channel, requests, auto_ack=True).wait_for(30)
    for request in reversed(asked):
        answer(channel, request, request.body.upper())
    for who, inbox in enumerate(inboxes):
        received = [(d.properties.correlation_id, d.body) for d in inbox.wait_for(10)]
        assert sorted(received) == [(str(n), f"{who} {n}".encode()) for n in range(10)]


def test_many_answers_to_one_request(connect, channel, requests):
    client = connect().channel()
    answers = Inbox(client, REPLY_TO, auto_ack=True)
    ask(client, requests, b"count")
    request = Inbox(channel, requests, auto_ack=True).wait_for(1)[0]
    for number in range(5):
        answer(channel, request, b"%d" % number)
    answers.wait_for(5)
    assert answers.bodies == ["0", "1", "2", "3", "4"]


def test_a_server_may_look_whether_its_client_is_still_there(
    connect, connection, channel, requests
):
    """Worth a moment before long work: the address can be looked up like a queue."""
    leaving = connect()
    client = leaving.channel()
    Inbox(client, REPLY_TO, auto_ack=True)
    ask(client, requests, b"?")
    request = Inbox(channel, requests, auto_ack=True).wait_for(1)[0]
    address = request.properties.reply_to
    looked = channel.queue_declare(address, passive=True).method
    assert (looked.queue, looked.message_count, looked.consumer_count) == (address, 0, 1)
    leaving.close()
    probe = connection.channel()
    with channel_closes(probe, 404, f"NOT_FOUND - no queue '{address}' in vhost '/'"):
        probe.queue_declare(address, passive=True)
    # An answer is not an error, it goes nowhere.
    answer(channel, request, b"!")
    channel.queue_declare(requests, passive=True)


def test_an_answer_is_never_returned(connect, channel, requests, peer_is_rabbitmq):
    if peer_is_rabbitmq:
        pytest.skip("before 4.2 a mandatory answer was returned, even one that was delivered")
    leaving = connect()
    client = leaving.channel()
    answers = Inbox(client, REPLY_TO, auto_ack=True)
    ask(client, requests, b"?")
    request = Inbox(channel, requests, auto_ack=True).wait_for(1)[0]
    # pika would raise at a message that is returned.
    channel.confirm_delivery()
    answer(channel, request, b"still there?", mandatory=True)
    answers.wait_for(1)
    leaving.close()
    answer(channel, request, b"and now?", mandatory=True)


def test_a_request_without_awaiting_answers(channel, requests):
    text = "PRECONDITION_FAILED - fast reply consumer does not exist"
    with channel_closes(channel, 406, text):
        ask(channel, requests, b"?")


def test_answers_cannot_be_acknowledged(channel):
    with channel_closes(channel, 406, "PRECONDITION_FAILED - reply consumer cannot acknowledge"):
        Inbox(channel, REPLY_TO)


def test_one_consumer_of_answers_a_channel(channel):
    Inbox(channel, REPLY_TO, auto_ack=True)
    with channel_closes(channel, 406, "PRECONDITION_FAILED - reply consumer already set"):
        Inbox(channel, REPLY_TO, auto_ack=True)


def test_after_cancelling_another_may_begin(connect, channel, requests):
    client = connect().channel()
    first = Inbox(client, REPLY_TO, auto_ack=True)
    client.basic_cancel(first.tag)
    second = Inbox(client, REPLY_TO, auto_ack=True)
    ask(client, requests, b"?")
    request = Inbox(channel, requests, auto_ack=True).wait_for(1)[0]
    answer(channel, request, b"!")
    wait_until(lambda: second.deliveries, client.connection)
    assert first.deliveries == []
