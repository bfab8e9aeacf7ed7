"""The Nagios plugins: a line that begins with OK and exit code 0, or whatever the limits say."""

import contextlib
import os

import pika

from management import HOST, PASSWORD, PORT, USER, contains, get, run
from report import AMQP_URL, Skip, run_all, unique, wait_until

OK, WARNING, CRITICAL = 0, 1, 2


def check(name, *words, code=OK):
    """What a plugin says."""
    login = ["--hostname", HOST, "--port", str(PORT), "--username", USER, "--password", PASSWORD]
    return run(f"check_rabbitmq_{name}", *login, *words, code=code)


def node():
    """The plugins take it for granted that a node is called rabbit, and want to know its host."""
    name, host = get("/api/nodes")[0]["name"].split("@")
    if name != "rabbit":
        raise Skip("the plugin can only ask for a node that is called rabbit")
    return host


@contextlib.contextmanager
def queue_with_messages(count):
    """A queue with so many messages, known by the statistics too, and the connection that has made it."""
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    channel = connection.channel()
    queue = unique("nagios")
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()
    for _ in range(count):
        channel.basic_publish("", queue, b"x")

    def counted():
        connection.process_data_events()
        return get(f"/api/queues/%2F/{queue}").get("messages") == count

    wait_until(counted, "the messages are counted")
    yield queue
    connection.close()


def aliveness():
    contains("the answer", check("aliveness"), "RABBITMQ_ALIVENESS OK")


def connections():
    with queue_with_messages(0):
        contains("the answer", check("connections"), "RABBITMQ_CONNECTIONS OK", "connections=")


def objects():
    contains("the answer", check("objects"), "RABBITMQ_OBJECTS OK", "exchange=")


def overview():
    contains("the answer", check("overview"), "RABBITMQ_OVERVIEW OK", "messages=")


def partition():
    contains("the answer", check("partition", "--node", node()), "RABBITMQ_PARTITION OK")


def queue():
    with queue_with_messages(5) as name:
        contains("the answer", check("queue", "--queue", name), "messages=5")
        contains("a warning", check("queue", "--queue", name, "--warning", "3", code=WARNING), "WARNING")
        limits = ["--warning", "2", "--critical", "3"]
        contains("an alarm", check("queue", "--queue", name, *limits, code=CRITICAL), "CRITICAL")


def server():
    contains("the answer", check("server", "--node", node()), "RABBITMQ_SERVER OK")


def watermark():
    contains("the answer", check("watermark", "--node", node()), "RABBITMQ_WATERMARK OK")


CAPABILITIES = {
    "aliveness": aliveness,
    "connections": connections,
    "objects": objects,
    "overview": overview,
    "partition": partition,
    "queue": queue,
    "server": server,
    "watermark": watermark,
}

if __name__ == "__main__":
    run_all("nagios-plugins-rabbitmq", os.environ["CLIENT_VERSION"], CAPABILITIES, seconds_max=180)
