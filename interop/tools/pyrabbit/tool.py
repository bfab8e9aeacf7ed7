"""pyrabbit2: programs in Python that administer a broker."""

from importlib.metadata import version

import pika
from pyrabbit2.api import Client
from pyrabbit2.http import HTTPError

from management import HOST, PASSWORD, PORT, USER, get
from report import AMQP_URL, equal, run_all, unique, wait_until

CLIENT = Client(f"{HOST}:{PORT}", USER, PASSWORD)


def overview():
    equal("is_alive", CLIENT.is_alive(), True)
    equal("the product", "rabbitmq_version" in CLIENT.get_overview(), True)
    equal("the nodes", len(CLIENT.get_nodes()), 1)
    equal("who we are", CLIENT.get_whoami()["name"], USER)
    equal("our permissions", CLIENT.get_user_permissions(USER)[0]["user"], USER)


def vhosts():
    vhost, user = unique("v"), unique("u")
    CLIENT.create_vhost(vhost)
    equal("the vhost is listed", vhost in CLIENT.get_vhost_names(), True)
    CLIENT.create_user(user, "secret", tags="monitoring")
    [tags] = [u["tags"] for u in CLIENT.get_users() if u["name"] == user]
    equal("the user's tags", "monitoring" in tags, True)
    CLIENT.set_vhost_permissions(vhost, user, "^a", ".*", ".*")
    equal("the permission", CLIENT.get_permission(vhost, user)["configure"], "^a")
    equal("the vhost's permissions", user in [p["user"] for p in CLIENT.get_vhost_permissions(vhost)], True)
    CLIENT.delete_permission(vhost, user)
    CLIENT.delete_user(user)
    CLIENT.delete_vhost(vhost)
    equal("the vhost is gone", vhost in CLIENT.get_vhost_names(), False)


def queues():
    exchange, queue = unique("x"), unique("q")
    CLIENT.create_exchange("/", exchange, "direct")
    equal("the exchange", CLIENT.get_exchange("/", exchange)["type"], "direct")
    CLIENT.create_queue("/", queue, durable=True)
    CLIENT.create_binding("/", exchange, queue, "key")
    keys = [binding["routing_key"] for binding in CLIENT.get_queue_bindings("/", queue) if binding["source"]]
    equal("the bindings", keys, ["key"])
    CLIENT.publish("/", exchange, "key", "a message")
    wait_until(lambda: get(f"/api/queues/%2F/{queue}").get("messages") == 1, "the message is counted")
    equal("the depth", CLIENT.get_queue_depth("/", queue), 1)
    CLIENT.purge_queue("/", queue)
    equal("what is left", CLIENT.get_messages("/", queue), [])
    CLIENT.delete_binding("/", exchange, queue, "key")
    CLIENT.delete_queue("/", queue)
    CLIENT.delete_exchange("/", exchange)
    try:
        CLIENT.get_queue("/", queue)
        raise AssertionError("a deleted queue is found")
    except HTTPError as error:
        equal("the status", error.status, 404)


def messages():
    queue = unique("messages")
    CLIENT.create_queue("/", queue)
    equal("routed", CLIENT.publish("/", "amq.default", queue, "hello", properties={"headers": {"n": 1}}), True)
    [message] = CLIENT.get_messages("/", queue, requeue=True)
    equal("the message", (message["payload"], message["properties"]["headers"]), ("hello", {"n": 1}))
    CLIENT.delete_queue("/", queue)


def connections():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    connection.channel().basic_qos(prefetch_count=7)

    def listed():
        connection.process_data_events()
        return [c for c in CLIENT.get_channels() if c.get("prefetch_count") == 7]

    [channel] = wait_until(listed, "the channel is listed with its prefetch")
    equal("the channel", CLIENT.get_channel(channel["name"])["number"], 1)
    name = wait_until(lambda: channel_of(channel).get("name"), "the channel knows its connection")
    equal("its connection", CLIENT.get_connection(name)["user"], USER)
    CLIENT.delete_connection(name)

    def closed():
        try:
            connection.process_data_events(0.1)
        except pika.exceptions.AMQPConnectionError:
            return True

    wait_until(closed, "the connection is closed")


def channel_of(channel):
    """The connection as the channel shows it; RabbitMQ gives an empty list while it does not know."""
    return CLIENT.get_channel(channel["name"])["connection_details"] or {}


CAPABILITIES = {
    "overview": overview,
    "vhosts": vhosts,
    "queues": queues,
    "messages": messages,
    "connections": connections,
}

if __name__ == "__main__":
    run_all("pyrabbit2", version("pyrabbit2"), CAPABILITIES, seconds_max=180)
