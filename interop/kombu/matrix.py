"""What kombu can do on this broker, one function each. Beneath it is py-amqp, whose exceptions it passes on."""

import contextlib
import socket
import threading
from queue import Empty, SimpleQueue

import kombu
from amqp.exceptions import MessageNacked, NotFound, PreconditionFailed
from kombu import Connection, Consumer, Exchange, Producer, Queue, binding
from kombu.mixins import ConsumerMixin

from report import AMQP_URL, WAIT_SECONDS_MAX, check_death, equal, restart_broker, run_all, unique, wait_until

CONFIRMS = {"confirm_publish": True}


@contextlib.contextmanager
def connect(*doomed, **transport_options):
    """A connection; the queues and exchanges named are deleted at the end."""
    with Connection(AMQP_URL, transport_options=transport_options) as connection:
        try:
            yield connection
        finally:
            cleaner = connection.channel()
            for name in doomed:
                # The broker is content when there is nothing of that name.
                cleaner.queue_delete(name)
                cleaner.exchange_delete(name)


def next_message(queue):
    """Waits for a message and takes it."""
    return wait_until(lambda: queue.get(no_ack=True), f"a message in {queue.name}")


def depth(queue):
    """How many messages wait in a queue."""
    return queue.queue_declare(passive=True).message_count


def declare():
    names = {kind: unique(kind) for kind in ("direct", "fanout", "topic", "headers")}
    queue_name, other_name = unique("queue"), unique("other")
    with connect(queue_name, other_name, *names.values()) as connection:
        channel = connection.channel()
        direct, fanout, topic, headers = (Exchange(name, kind, channel=channel) for kind, name in names.items())
        # A queue brings its exchanges and bindings with it.
        bindings = [
            binding(direct, "red"),
            binding(topic, "*.red.#"),
            binding(headers, arguments={"x-match": "all", "colour": "red"}),
        ]
        queue = Queue(queue_name, bindings=bindings, channel=channel)
        equal("the name of the queue", queue.declare(), queue_name)
        other = Queue(other_name, fanout, max_length=10, channel=channel)
        other.declare()
        # An exchange bound to an exchange, and a queue behind that.
        fanout.bind_to(direct, "red")

        producer = Producer(channel, serializer="json")
        producer.publish({"by": "direct"}, exchange=direct, routing_key="red")
        producer.publish({"by": "topic"}, exchange=topic, routing_key="a.red.b.c")
        producer.publish({"by": "headers"}, exchange=headers, headers={"colour": "red"})
        found = [next_message(queue).decode()["by"] for _ in range(3)]
        equal("what was routed", found, ["direct", "topic", "headers"])
        equal("what went through two exchanges", next_message(other).decode(), {"by": "direct"})

        queue.unbind_from(direct, "red")
        producer.publish({"by": "fanout"}, exchange=direct, routing_key="red")
        equal("what came by the other way", next_message(other).decode(), {"by": "fanout"})
        equal("the depth after the binding went", depth(queue), 0)
        producer.publish("left", routing_key=queue_name)
        equal("what a deleted queue held", queue.delete(), 1)


def publish_confirms():
    name, full_name = unique("queue"), unique("full")
    with connect(name, full_name, **CONFIRMS) as connection:
        queue = Queue(name, channel=connection.channel())
        queue.declare()
        producer = connection.Producer()
        for number in range(100):
            # With confirms a publish returns when the broker has confirmed it.
            producer.publish(number, routing_key=name, delivery_mode="persistent")
        equal("the depth", depth(queue), 100)
        full = Queue(full_name, max_length=1, queue_arguments={"x-overflow": "reject-publish"})
        full = full.bind(connection.channel())
        full.declare()
        producer.publish("fits", routing_key=full_name)
        try:
            producer.publish("does not fit", routing_key=full_name)
            raise AssertionError("a message was confirmed that the full queue had refused")
        except MessageNacked:
            equal("the depth of the full queue", depth(full), 1)


def consume_acks():
    name = unique("queue")
    with connect(name) as connection:
        channel = connection.channel()
        queue = Queue(name, channel=channel)
        queue.declare()
        for body in ("one", "two", "three"):
            Producer(channel).publish(body, routing_key=name)
        received = []

        def receive(count):
            while len(received) < count:
                connection.drain_events(timeout=WAIT_SECONDS_MAX)
            return [message.decode() for message in received]

        with Consumer(channel, queue, on_message=received.append, prefetch_count=2):
            equal("what came", receive(2), ["one", "two"])
            with contextlib.suppress(socket.timeout):
                connection.drain_events(timeout=0.2)
            equal("what came above the prefetch", len(received), 2)
            received[0].ack()
            equal("what came after an ack", receive(3), ["one", "two", "three"])
            received[1].requeue()
            equal("what came after a requeue", receive(4)[3], "two")
            flags = [message.delivery_info["redelivered"] for message in received]
            equal("the redelivered flags", flags, [False, False, False, True])
            received[2].reject()
            received[3].ack()
        equal("the depth at the end", depth(queue), 0)


def get():
    name = unique("queue")
    with connect(name) as connection:
        queue = Queue(name, channel=connection.channel())
        queue.declare()
        equal("what an empty queue gives", queue.get(), None)
        producer = connection.Producer()
        producer.publish({"n": 1}, routing_key=name, headers={"n": 7, "list": ["a", True]}, message_id="m1")
        producer.publish({"n": 2}, routing_key=name)
        message = next_message(queue)
        equal("the body", message.decode(), {"n": 1})
        equal("the messages left", message.delivery_info["message_count"], 1)
        equal("the properties", (message.content_type, message.properties["message_id"]), ("application/json", "m1"))
        equal("the headers", (message.headers["n"], message.headers["list"]), (7, ["a", True]))
        queue.get().requeue()
        equal("the body that came back", next_message(queue).decode(), {"n": 2})
        # A queue as Python's own module `queue` has it.
        with connection.SimpleQueue(name) as simple:
            simple.put("hello")
            message = simple.get(timeout=WAIT_SECONDS_MAX)
            equal("what a simple queue gives", message.payload, "hello")
            message.ack()
            try:
                simple.get_nowait()
                raise AssertionError("an empty simple queue gave a message")
            except Empty:
                pass


def returns():
    nowhere = unique("nowhere")
    returned = []
    with connect() as connection:
        producer = connection.Producer(on_return=lambda *of_return: returned.append(of_return))
        producer.publish("come back", routing_key=nowhere, mandatory=True, message_id="m1")
        while not returned:
            connection.drain_events(timeout=WAIT_SECONDS_MAX)
        [(error, exchange, routing_key, message)] = returned
        equal("the reply", (error.reply_code, error.reply_text), (312, "NO_ROUTE"))
        equal("its way", (exchange, routing_key), ("", nowhere))
        equal("the message", (message.properties["message_id"], message.body), ("m1", "come back"))


def ttl_dead_letter():
    source_name, dead_name, exchange_name = unique("source"), unique("dead"), unique("exchange")
    with connect(source_name, dead_name, exchange_name) as connection:
        channel = connection.channel()
        dead = Queue(dead_name, Exchange(exchange_name, "direct"), routing_key="died", channel=channel)
        dead.declare()
        # Times of kombu are in seconds; on the wire they are milliseconds.
        arguments = {"x-dead-letter-exchange": exchange_name, "x-dead-letter-routing-key": "died"}
        source = Queue(source_name, message_ttl=0.2, queue_arguments=arguments, channel=channel)
        source.declare()
        producer = Producer(channel)

        producer.publish("expires by its queue", routing_key=source_name)
        message = next_message(dead)
        equal("the dead letter", message.decode(), "expires by its queue")
        equal("its routing key", message.delivery_info["routing_key"], "died")
        [death] = message.headers["x-death"]
        check_death(death, source_name, "expired", source_name)
        equal("the first death", message.headers["x-first-death-reason"], "expired")

        producer.publish("expires by itself", routing_key=source_name, expiration=0.05)
        message = next_message(dead)
        equal("the dead letter", (message.decode(), message.properties.get("expiration")), ("expires by itself", None))
        equal("its expiration before", message.headers["x-death"][0]["original-expiration"], "50")

        producer.publish("rejected", routing_key=source_name)
        source.get().reject()
        message = next_message(dead)
        equal("the dead letter", message.decode(), "rejected")
        check_death(message.headers["x-death"][0], source_name, "rejected", source_name)


def priorities():
    name = unique("queue")
    with connect(name) as connection:
        queue = Queue(name, max_priority=5, channel=connection.channel())
        queue.declare()
        producer = connection.Producer()
        for priority in (0, 1, 5, 3, 9, 1):
            producer.publish(priority, routing_key=name, priority=priority)
        # Above the queue's highest is the highest.
        equal("the order", [next_message(queue).decode() for _ in range(6)], [5, 9, 3, 1, 1, 0])


def rpc():
    name = unique("questions")
    with connect(name) as server, connect() as client:
        questions = Queue(name, channel=server.channel())
        questions.declare()
        answers = []
        # Nothing is declared: the pseudo queue exists for every channel that consumes from it.
        channel = client.channel()
        reply_to = Queue("amq.rabbitmq.reply-to", no_declare=True, no_ack=True)
        with Consumer(channel, reply_to, on_message=answers.append, auto_declare=False, no_ack=True):
            Producer(channel).publish("6 * 7", routing_key=name, reply_to=reply_to.name, correlation_id="q1")
            question = next_message(questions)
            equal("the question", question.decode(), "6 * 7")
            address, correlation_id = (question.properties[key] for key in ("reply_to", "correlation_id"))
            if not address.startswith("amq.rabbitmq.reply-to."):
                raise AssertionError(f"no address is put in place of the pseudo queue: {address}")
            server.Producer().publish("42", routing_key=address, correlation_id=correlation_id)
            while not answers:
                client.drain_events(timeout=WAIT_SECONDS_MAX)
            [answer] = answers
            equal("the answer", (answer.properties["correlation_id"], answer.decode()), ("q1", "42"))


def topology_errors():
    name = unique("queue")
    with connect(name) as connection:

        def refusal(error, queue):
            """What the broker says when it closes the channel."""
            try:
                queue.bind(connection.channel()).queue_declare(passive=error is NotFound)
            except error as refused:
                return refused.reply_code, refused.reply_text.split(" - ")[0]
            raise AssertionError("the broker let it pass")

        queue = Queue(name, channel=connection.channel())
        queue.declare()
        equal("a queue that is not there", refusal(NotFound, Queue(unique("missing"))), (404, "NOT_FOUND"))
        otherwise = refusal(PreconditionFailed, Queue(name, max_length=1))
        equal("a queue declared otherwise", otherwise, (406, "PRECONDITION_FAILED"))
        # Only those channels are gone.
        equal("the depth", depth(queue), 0)


class Worker(ConsumerMixin):
    """Consumes until it is told to stop. The mixin reconnects by itself, and then makes its consumers anew."""

    connect_max_retries = 20

    def __init__(self, connection, queue):
        self.connection = connection
        self.queue = queue
        self.ready = SimpleQueue()
        self.received = SimpleQueue()

    def get_consumers(self, Consumer, channel):
        return [Consumer(self.queue, on_message=self.on_message)]

    def on_consume_ready(self, connection, channel, consumers, **_):
        self.ready.put(True)

    def on_message(self, message):
        self.received.put(message.decode())
        message.ack()


def recovery():
    queue = Queue(unique("queue"))
    with connect(queue.name) as connection:
        worker = Worker(connection.clone(), queue)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        worker.ready.get(timeout=WAIT_SECONDS_MAX)
        connection.connect()
        restart_broker()
        worker.ready.get(timeout=60)
        # The producer finds its connection dead, and takes another one.
        connection.Producer().publish("after", routing_key=queue.name, delivery_mode="persistent", retry=True)
        equal("what came", worker.received.get(timeout=WAIT_SECONDS_MAX), "after")
        worker.should_stop = True
        thread.join(WAIT_SECONDS_MAX)
        worker.connection.release()


if __name__ == "__main__":
    run_all(
        "kombu",
        kombu.__version__,
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
