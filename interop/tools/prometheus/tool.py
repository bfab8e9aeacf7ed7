"""A Prometheus scrapes the broker, and is asked what Grafana's dashboard 10991 asks it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pika

from management import PEER, PROMETHEUS_URL, get
from report import AMQP_URL, Skip, equal, run_all, unique, wait_until

FOLDER = tempfile.TemporaryDirectory(prefix="leveret-prometheus-")
TARGET = urllib.parse.urlsplit(PROMETHEUS_URL).netloc
READY_SECONDS_MAX = 90

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: overview, static_configs: [{{targets: ["{target}"], labels: {{namespace: test}}}}]}}
  - {{job_name: per-object, metrics_path: /metrics/per-object, static_configs: [{{targets: ["{target}"]}}]}}
  - job_name: detailed
    metrics_path: /metrics/detailed
    params: {{vhost: ["/"], family: [queue_coarse_metrics, queue_consumer_count]}}
    static_configs: [{{targets: ["{target}"]}}]
"""

# What the dashboard joins everything with.
ENDPOINT = "" if PEER else ',rabbitmq_endpoint="aggregated"'
IDENTITY = f'rabbitmq_identity_info{{namespace="test"{ENDPOINT}}}'
JOIN = f"* on(instance, job) group_left(rabbitmq_cluster, rabbitmq_node) {IDENTITY}"
RATES = (
    "rabbitmq_global_messages_received_total rabbitmq_global_messages_received_confirm_total "
    "rabbitmq_global_messages_confirmed_total rabbitmq_global_messages_routed_total "
    "rabbitmq_global_messages_unroutable_dropped_total rabbitmq_global_messages_unroutable_returned_total "
    "rabbitmq_global_messages_delivered_total rabbitmq_global_messages_redelivered_total "
    "rabbitmq_global_messages_delivered_consume_auto_ack_total rabbitmq_global_messages_acknowledged_total "
    "rabbitmq_global_messages_delivered_consume_manual_ack_total rabbitmq_global_messages_delivered_get_auto_ack_total "
    "rabbitmq_global_messages_delivered_get_manual_ack_total rabbitmq_global_messages_get_empty_total "
    "rabbitmq_connections_opened_total rabbitmq_connections_closed_total rabbitmq_channels_opened_total "
    "rabbitmq_channels_closed_total rabbitmq_queues_declared_total rabbitmq_queues_created_total "
    "rabbitmq_queues_deleted_total"
).split()
GAUGES = (
    "rabbitmq_connections rabbitmq_channels rabbitmq_queues rabbitmq_global_publishers rabbitmq_global_consumers "
    "rabbitmq_queue_messages_ready rabbitmq_queue_messages_unacked rabbitmq_disk_space_available_bytes "
    "rabbitmq_process_resident_memory_bytes rabbitmq_resident_memory_limit_bytes rabbitmq_process_open_fds "
    "rabbitmq_erlang_uptime_seconds rabbitmq_disk_space_available_limit_bytes"
).split()


def queries():
    """The queries in the forms that the dashboard has them, by what they show."""
    for name in RATES:
        yield name, f"sum(rate({name}[60s]) {JOIN}) by(rabbitmq_node) > 0"
    for name in GAUGES:
        if PEER and name == "rabbitmq_global_publishers":
            continue  # RabbitMQ 3.10 says 0 while somebody publishes.
        yield name, f"sum({name} {JOIN}) by(rabbitmq_node) > 0"
    yield "free memory", f"(rabbitmq_resident_memory_limit_bytes {JOIN}) - (rabbitmq_process_resident_memory_bytes {JOIN})"
    yield "free descriptors", f"(rabbitmq_process_max_fds {JOIN}) - (rabbitmq_process_open_fds {JOIN}) > 0"
    yield "versions", f"rabbitmq_build_info {JOIN}"
    sizes = f"sum(rate(rabbitmq_message_size_bytes_bucket[60s]) {JOIN}) by(le)"
    if not PEER:  # RabbitMQ 3.10 does not measure sizes.
        yield "message sizes", f"histogram_quantile(0.95, {sizes}) > 0"


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


WEB = f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def prometheus():
    Path(FOLDER.name, "prometheus.yml").write_text(CONFIGURATION.format(target=TARGET))
    command = ["prometheus", f"--config.file={FOLDER.name}/prometheus.yml", f"--storage.tsdb.path={FOLDER.name}/data"]
    process = subprocess.Popen([*command, f"--web.listen-address={WEB}"], stdout=sys.stderr)
    try:
        wait_until(is_ready, "Prometheus is up", READY_SECONDS_MAX)
        yield
    finally:
        process.terminate()
        process.wait(60)


def is_ready():
    try:
        ask("query", query="up")
        return True
    except OSError:
        return False


def ask(what, **parameters):
    """What Prometheus's own API answers."""
    url = f"http://{WEB}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def values(query):
    return ask("query", query=query)["result"]


class Traffic:
    """Publishers, consumers and fetchers of every kind that the dashboard tells apart."""

    def __init__(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
        self.channel, self.confirming = self.connection.channel(), self.connection.channel()
        self.confirming.confirm_delivery()
        self.names = [unique(f"prometheus.{kind}") for kind in ("auto", "manual", "fetched", "ready", "unacked")]
        for name in self.names:
            self.channel.queue_declare(name, exclusive=True)
        auto, manual, _, ready, unacked = self.names
        self.channel.basic_consume(auto, lambda *_: None, auto_ack=True)
        self.channel.basic_consume(manual, self.settle)
        self.channel.basic_consume(unacked, lambda *_: None)
        self.channel.basic_publish("", ready, b"stays")
        self.channel.basic_publish("", unacked, b"is never acknowledged")

    @staticmethod
    def settle(channel, method, _properties, _body):
        if method.redelivered:
            channel.basic_ack(method.delivery_tag)
        else:
            channel.basic_nack(method.delivery_tag, requeue=True)

    def some(self):
        """A little of everything."""
        auto, manual, fetched, _, _ = self.names
        for name in (auto, manual, fetched, fetched):
            self.confirming.basic_publish("", name, b"x" * 2000)
        self.channel.basic_publish("", "nowhere", b"is dropped")
        try:
            self.confirming.basic_publish("", "nowhere", b"comes back", mandatory=True)
        except pika.exceptions.UnroutableError:
            pass
        self.channel.basic_get(fetched, auto_ack=True)
        method, _, _ = self.channel.basic_get(fetched)
        self.channel.basic_ack(method.delivery_tag)
        self.channel.basic_get(fetched)
        other = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
        other.channel().queue_declare(unique("prometheus.short"), exclusive=True)
        other.close()
        self.connection.process_data_events(0.3)


def scrape():
    def scraped():
        targets = ask("targets")["activeTargets"]
        return len(targets) == 3 and all(target["health"] == "up" for target in targets) and targets

    try:
        wait_until(scraped, "all targets are up", 60)
    except AssertionError:
        errors = {target["lastError"] for target in ask("targets")["activeTargets"]}
        raise AssertionError(f"Prometheus says: {errors}") from None
    types = {entry["metric"]: entry["type"] for entry in ask("targets/metadata", limit=5000)}
    for name in RATES:
        equal(f"the type of {name}", types.get(name), "counter")
    for name in GAUGES:
        if name != "rabbitmq_erlang_uptime_seconds":
            equal(f"the type of {name}", types.get(name), "gauge")


def overview():
    traffic = Traffic()
    missing = dict(queries())
    deadline = time.monotonic() + 60
    while missing and time.monotonic() < deadline:
        traffic.some()
        missing = {name: query for name, query in missing.items() if not values(query)}
    traffic.connection.close()
    equal("what the dashboard would show nothing for", sorted(missing), [])


@contextlib.contextmanager
def queue_with_two():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    channel = connection.channel()
    name = unique("prometheus.object")
    channel.queue_declare(name, exclusive=True)
    for _ in range(2):
        channel.basic_publish("", name, b"x")
    yield connection, name
    connection.close()


def of_queue(job, metric, value):
    """The series of a queue has the value, and its labels."""
    with queue_with_two() as (connection, name):

        def known():
            connection.process_data_events()
            return values(f'{metric}{{job="{job}",queue="{name}"}} == {value}')

        [series] = wait_until(known, f"{metric} of a queue is {value}", 60)
        equal("its virtual host", series["metric"]["vhost"], "/")


def per_object():
    of_queue("per-object", "rabbitmq_queue_messages_ready", 2)


def detailed():
    of_queue("detailed", "rabbitmq_detailed_queue_messages_ready", 2)
    names = {series["metric"]["__name__"] for series in values('{job="detailed",__name__=~"rabbitmq_detailed.+"}')}
    unasked = {name for name in names if "queue" not in name}
    equal("families that nobody asked for", unasked, set())


def memory_breakdown():
    if PEER:
        raise Skip("RabbitMQ 3.10 has no such endpoint")
    with urllib.request.urlopen(f"{PROMETHEUS_URL}/metrics/memory-breakdown", timeout=30) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    values_of = {line.split("{")[0].split(" ")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    if not any(value > 0 for name, value in values_of.items() if name.startswith("rabbitmq_memory_")):
        raise AssertionError(f"no memory is told: {sorted(values_of)[:10]}")


CAPABILITIES = {
    "scrape": scrape,
    "overview": overview,
    "per-object": per_object,
    "detailed": detailed,
    "memory-breakdown": memory_breakdown,
}

if __name__ == "__main__":
    get("/api/overview")
    with prometheus():
        run_all("prometheus", os.environ["CLIENT_VERSION"], CAPABILITIES, seconds_max=150)
