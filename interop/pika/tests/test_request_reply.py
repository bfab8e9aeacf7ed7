"""Request and reply: a queue of requests, a queue of answers for each client, and a correlation
id that says which answer belongs to which request."""

import threading
import uuid

import pika
import pytest
from pika.exceptions import UnroutableError

from helpers import Inbox, stays_quiet, wait_until


class Client:
    """Sends requests and collects the answers."""

    def __init__(self, connection, requests):
        self.connection, self.requests = connection, requests
        self.channel = connection.channel()
        self.reply_to = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.basic_consume(self.reply_to, self._on_answer, auto_ack=True)
        self.pending = {}
        self.unexpected = []

    def ask(self, question):
        """Sends a request and gives its id; the answer will be in `pending` under that id."""
        request_id = str(uuid.uuid4())
        self.pending[request_id] = None
        properties = pika.BasicProperties(reply_to=self.reply_to, correlation_id=request_id)
        self.channel.basic_publish("", self.requests, question.encode(), properties)
        return request_id

    def _on_answer(self, _channel, _method, properties, body):
        if properties.correlation_id in self.pending:
            self.pending[properties.correlation_id] = (properties.type, body.decode())
        else:
            self.unexpected.append(body.decode())

    def wait(self):
        """Waits until every request is answered; gives the answers by id."""
        wait_until(lambda: None not in self.pending.values(), self.connection)
        return self.pending

    def call(self, question):
        """One request, and its answer."""
        request_id = self.ask(question)
        return self.wait()[request_id]


class Server(threading.Thread):
    """Answers in capitals. Lives in a thread of its own, with a connection of its own."""

    def __init__(self, parameters, requests):
        super().__init__(daemon=True)
        self.requests = requests
        self.served = 0
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=1)
        self.channel.basic_consume(requests, self._on_request)

    def run(self):
        self.channel.start_consuming()
        self.connection.close()

    def stop(self):
        self.connection.add_callback_threadsafe(self.channel.stop_consuming)
        self.join(60)
        assert not self.is_alive()

    def _on_request(self, channel, method, properties, body):
        self.served += 1
        question = body.decode()
        kind, answer = ("error", "nothing to say") if not question else ("answer", question.upper())
        channel.basic_publish(
            "",
            properties.reply_to,
            answer.encode(),
            pika.BasicProperties(correlation_id=properties.correlation_id, type=kind),
        )
        channel.basic_ack(method.delivery_tag)


@pytest.fixture
def requests(channel, unique):
    name = unique("requests")
    channel.queue_declare(name)
    return name


@pytest.fixture
def serve(broker, requests):
    """Starts servers; they end with the test."""
    servers = []

    def start():
        servers.append(Server(broker.parameters(), requests))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client(connect, requests):
    return lambda: Client(connect(), requests)


def test_one_call_after_the_other(serve, client):
    serve()
    caller = client()
    assert caller.call("hello") == ("answer", "HELLO")
    assert caller.call("again") == ("answer", "AGAIN")


def test_an_error_is_an_answer_too(serve, client):
    serve()
    assert client().call("") == ("error", "nothing to say")


def test_many_at_once_from_several_clients_to_several_servers(serve, client):
    servers = [serve() for _ in range(3)]
    callers = [client() for _ in range(2)]
    asked = {
        caller: {caller.ask(f"{number}-{n}"): f"{number}-{n}" for n in range(60)}
        for number, caller in enumerate(callers)
    }
    for caller, questions in asked.items():
        answers = caller.wait()
        assert {key: ("answer", text.upper()) for key, text in questions.items()} == answers
        assert caller.unexpected == []
    assert sum(server.served for server in servers) == 120
    # All took part.
    assert all(server.served > 0 for server in servers)


def test_requests_wait_for_a_server(serve, client):
    caller = client()
    request_id = caller.ask("anybody there?")
    stays_quiet([caller.connection], seconds=0.1)
    assert caller.pending[request_id] is None
    serve()
    assert caller.wait()[request_id] == ("answer", "ANYBODY THERE?")


def test_an_answer_nobody_waits_for_any_more(serve, client):
    serve()
    caller = client()
    forgotten = caller.ask("too late")
    del caller.pending[forgotten]
    # Told apart by its id from the answer that is waited for.
    assert caller.call("in time") == ("answer", "IN TIME")
    assert caller.unexpected == ["TOO LATE"]


def test_the_server_learns_that_the_client_is_gone(channel, client, requests):
    caller = client()
    caller.ask("and off I go")
    inbox = Inbox(channel, requests)
    request = inbox.wait_for(1)[0]
    assert request.properties.reply_to == caller.reply_to
    caller.connection.close()
    # The queue for answers went with its client; a mandatory answer shows it.
    channel.confirm_delivery()
    with pytest.raises(UnroutableError):
        channel.basic_publish("", request.properties.reply_to, b"bye", mandatory=True)
