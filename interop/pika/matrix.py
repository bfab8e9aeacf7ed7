"""What pika can do on this broker, one function each. The suite in tests/ goes much further."""

import contextlib
import time

import pika
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, NackError, UnroutableError

from report import AMQP_URL, WAIT_SECONDS_MAX, check_death, equal, restart_broker, run_all, unique, wait_until

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


@contextlib.contextmanager
def open_channel(*doomed):
    """A channel on a connection of its own; the queues and exchanges named are deleted at the end."""
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        try:
            yield connection.channel()
        finally:
            cleaner = connection.channel()
            for name in doomed:
                # The broker is content when there is nothing of that name.
                cleaner.queue_delete(name)
                cleaner.exchange_delete(name)


def next_message(channel, queue):
    """Waits for a message and takes it: (method, properties, body)."""
    return wait_until(lambda: (got := channel.basic_get(queue, auto_ack=True))[0] and got, f"a message in {queue}")


def depth(channel, queue):
    """How many messages wait in a queue."""
    return channel.queue_declare(queue, passive=True).method.message_count


def declare():
    queue, other = unique("queue"), unique("other")
    exchanges = {kind: unique(kind) for kind in ("direct", "fanout", "topic", "headers")}
    with open_channel(queue, other, *exchanges.values()) as channel:
        declared = channel.queue_declare(queue, durable=True)
        equal("the name of the queue", declared.method.queue, queue)
        channel.queue_declare(other, arguments={"x-max-length": 10})
        for kind, name in exchanges.items():
            channel.exchange_declare(name, exchange_type=kind, durable=True)
        channel.queue_bind(queue, exchanges["direct"], "red")
        channel.queue_bind(queue, exchanges["topic"], "*.red.#")
        channel.queue_bind(queue, exchanges["headers"], arguments={"x-match": "all", "colour": "red"})
        # An exchange bound to an exchange, and a queue behind that.
        channel.exchange_bind(exchanges["fanout"], exchanges["direct"], "red")
        channel.queue_bind(other, exchanges["fanout"])

        channel.basic_publish(exchanges["direct"], "red", b"direct")
        channel.basic_publish(exchanges["direct"], "blue", b"nowhere")
        channel.basic_publish(exchanges["topic"], "a.red.b.c", b"topic")
        channel.basic_publish(exchanges["headers"], "", b"headers", pika.BasicProperties(headers={"colour": "red"}))
        bodies = [next_message(channel, queue)[2] for _ in range(3)]
        equal("what was routed", bodies, [b"direct", b"topic", b"headers"])
        equal("what went through two exchanges", next_message(channel, other)[2], b"direct")

        channel.queue_unbind(queue, exchanges["direct"], "red")
        channel.basic_publish(exchanges["direct"], "red", b"unbound")
        equal("what came by the other way", next_message(channel, other)[2], b"unbound")
        equal("the depth after the binding went", depth(channel, queue), 0)
        channel.basic_publish("", queue, b"left")
        equal("what a deleted queue held", channel.queue_delete(queue).method.message_count, 1)


def publish_confirms():
    queue, full = unique("queue"), unique("full")
    with open_channel(queue, full) as channel:
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        for number in range(100):
            # In this mode a publish returns when the broker has confirmed it.
            channel.basic_publish("", queue, str(number).encode(), PERSISTENT)
        equal("the depth", depth(channel, queue), 100)
        try:
            channel.basic_publish("", unique("nowhere"), b"", mandatory=True)
            raise AssertionError("a message without a queue was confirmed as if it had one")
        except UnroutableError as error:
            equal("the messages that came back", len(error.messages), 1)
        channel.queue_declare(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        channel.basic_publish("", full, b"fits")
        try:
            channel.basic_publish("", full, b"does not fit")
            raise AssertionError("a message was confirmed that the full queue had refused")
        except NackError:
            equal("the depth of the full queue", depth(channel, full), 1)


def consume_acks():
    queue = unique("queue")
    with open_channel(queue) as channel:
        channel.queue_declare(queue)
        for body in (b"one", b"two", b"three"):
            channel.basic_publish("", queue, body)
        received = []
        channel.basic_qos(prefetch_count=2)
        tag = channel.basic_consume(queue, lambda _channel, method, _properties, body: received.append((method, body)))

        def receive(count):
            deadline = time.monotonic() + WAIT_SECONDS_MAX
            while len(received) < count and time.monotonic() < deadline:
                channel.connection.process_data_events(0.1)
            return [body for _, body in received]

        equal("what came", receive(2), [b"one", b"two"])
        channel.connection.process_data_events(0.2)
        equal("what came above the prefetch", len(received), 2)
        channel.basic_ack(received[0][0].delivery_tag)
        equal("what came after an ack", receive(3), [b"one", b"two", b"three"])
        channel.basic_nack(received[1][0].delivery_tag, requeue=True)
        equal("what came after a nack", receive(4)[3], b"two")
        equal("the redelivered flags", [method.redelivered for method, _ in received], [False, False, False, True])
        channel.basic_reject(received[2][0].delivery_tag, requeue=False)
        channel.basic_ack(received[3][0].delivery_tag, multiple=True)
        channel.basic_cancel(tag)
        equal("the depth at the end", depth(channel, queue), 0)


def get():
    queue = unique("queue")
    with open_channel(queue) as channel:
        channel.queue_declare(queue)
        equal("what an empty queue gives", channel.basic_get(queue), (None, None, None))
        sent = pika.BasicProperties(content_type="text/plain", headers={"n": 7, "list": ["a", True]}, message_id="m1")
        channel.basic_publish("", queue, b"first", sent)
        channel.basic_publish("", queue, b"second")
        method, properties, body = next_message(channel, queue)
        equal("the body", body, b"first")
        equal("the messages left", method.message_count, 1)
        equal("the routing key", method.routing_key, queue)
        equal("the properties", (properties.content_type, properties.message_id), ("text/plain", "m1"))
        equal("the headers", properties.headers, {"n": 7, "list": ["a", True]})
        method, _, body = channel.basic_get(queue)
        channel.basic_nack(method.delivery_tag, requeue=True)
        equal("the body that came back", next_message(channel, queue)[2], b"second")


def returns():
    with open_channel() as channel:
        returned = []
        channel.add_on_return_callback(lambda *of_return: returned.append(of_return[1:]))
        nowhere = unique("nowhere")
        channel.basic_publish("", nowhere, b"come back", pika.BasicProperties(message_id="m1"), mandatory=True)
        wait_until(lambda: channel.connection.process_data_events(0) or returned, "the message comes back")
        [(method, properties, body)] = returned
        equal("the reply", (method.reply_code, method.reply_text), (312, "NO_ROUTE"))
        equal("its way", (method.exchange, method.routing_key), ("", nowhere))
        equal("the message", (properties.message_id, body), ("m1", b"come back"))


def ttl_dead_letter():
    source, dead, exchange = unique("source"), unique("dead"), unique("exchange")
    with open_channel(source, dead, exchange) as channel:
        channel.exchange_declare(exchange, exchange_type="direct")
        channel.queue_declare(dead)
        channel.queue_bind(dead, exchange, "died")
        dead_letters = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "died"}
        channel.queue_declare(source, arguments={"x-message-ttl": 200, **dead_letters})

        channel.basic_publish("", source, b"expires by its queue")
        method, properties, body = next_message(channel, dead)
        equal("the dead letter", (body, method.routing_key), (b"expires by its queue", "died"))
        [death] = properties.headers["x-death"]
        check_death(death, source, "expired", source)
        first = {name: properties.headers[f"x-first-death-{name}"] for name in ("queue", "reason", "exchange")}
        equal("the first death", first, {"queue": source, "reason": "expired", "exchange": ""})

        channel.basic_publish("", source, b"expires by itself", pika.BasicProperties(expiration="50"))
        _, properties, body = next_message(channel, dead)
        equal("the dead letter", (body, properties.expiration), (b"expires by itself", None))
        equal("its expiration before", properties.headers["x-death"][0]["original-expiration"], "50")

        channel.basic_publish("", source, b"rejected")
        channel.basic_reject(channel.basic_get(source)[0].delivery_tag, requeue=False)
        _, properties, body = next_message(channel, dead)
        equal("the dead letter", body, b"rejected")
        check_death(properties.headers["x-death"][0], source, "rejected", source)


def priorities():
    queue = unique("queue")
    with open_channel(queue) as channel:
        channel.queue_declare(queue, arguments={"x-max-priority": 5})
        for priority in (None, 1, 5, 3, 9, 1):
            body = str(priority).encode()
            channel.basic_publish("", queue, body, pika.BasicProperties(priority=priority))
        # Above the queue's highest is the highest; without one it is the lowest.
        order = [next_message(channel, queue)[2] for _ in range(6)]
        equal("the order", order, [b"5", b"9", b"3", b"1", b"1", b"None"])


def rpc():
    questions = unique("questions")
    with open_channel(questions) as server, open_channel() as client:
        server.queue_declare(questions)
        answers = []

        def on_answer(_channel, _method, properties, body):
            answers.append((properties.correlation_id, body))

        client.basic_consume("amq.rabbitmq.reply-to", on_answer, auto_ack=True)
        ask = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="q1")
        client.basic_publish("", questions, b"6 * 7", ask)
        _, asked, body = next_message(server, questions)
        equal("the question", body, b"6 * 7")
        if not asked.reply_to.startswith("amq.rabbitmq.reply-to."):
            raise AssertionError(f"no address is put in place of the pseudo queue: {asked.reply_to}")
        server.basic_publish("", asked.reply_to, b"42", pika.BasicProperties(correlation_id=asked.correlation_id))
        wait_until(lambda: client.connection.process_data_events(0) or answers, "the answer comes")
        equal("the answer", answers, [("q1", b"42")])


def topology_errors():
    queue = unique("queue")
    with open_channel(queue) as channel:
        connection = channel.connection

        def code_of(provoke):
            """The code with which the broker closes the channel."""
            victim = connection.channel()
            try:
                provoke(victim)
            except ChannelClosedByBroker as closed:
                return closed.reply_code, closed.reply_text.split(" - ")[0]
            raise AssertionError("the broker let it pass")

        channel.queue_declare(queue)
        missing = code_of(lambda victim: victim.queue_declare(unique("missing"), passive=True))
        equal("a queue that is not there", missing, (404, "NOT_FOUND"))
        no_exchange = code_of(lambda victim: victim.queue_bind(queue, unique("missing")))
        equal("an exchange that is not there", no_exchange, (404, "NOT_FOUND"))
        other = code_of(lambda victim: victim.queue_declare(queue, arguments={"x-max-length": 1}))
        equal("a queue declared otherwise", other, (406, "PRECONDITION_FAILED"))
        # Only those channels are gone.
        equal("the depth", depth(channel, queue), 0)


def recovery():
    """pika leaves reconnecting to the program: it makes all anew when the connection is lost."""
    queue = unique("queue")
    received = []

    def consumer():
        connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        channel.basic_consume(queue, lambda *delivery: received.append(delivery[3]), auto_ack=True)
        return connection

    connection = consumer()
    try:
        restart_broker()
        with open_channel() as channel:
            channel.basic_publish("", queue, b"after the restart", PERSISTENT)
        deadline = time.monotonic() + 60
        lost = 0
        while not received and time.monotonic() < deadline:
            try:
                connection.process_data_events(0.1)
            except AMQPConnectionError:
                lost += 1
                connection = consumer()
        equal("what came", received, [b"after the restart"])
        equal("the connections lost", lost, 1)
    finally:
        connection.close()
        with open_channel(queue):
            pass


if __name__ == "__main__":
    run_all(
        "pika",
        pika.__version__,
        {
            "declare": declare,
            "publish-confirms": publish_confirms,
            "consume-acks": consume_acks,
            "get": get,
            "returns": returns,
            "ttl-dead-letter": ttl_dead_letter,
            "priorities": priorities,
            "rpc": rpc,
            "topology-errors": topology_errors,
            "recovery": recovery,
        },
    )
