"""rabbitmqadmin v2 does what it is made for."""

import json
import os
import tempfile
from pathlib import Path

from management import HOST, PASSWORD, PEER, PORT, USER, api, contains, get, run
from report import Skip, equal, run_all, unique

PROGRAM = os.environ["RABBITMQADMIN"]
FOLDER = tempfile.TemporaryDirectory(prefix="leveret-rabbitmqadmin-")
LOGIN = ["--host", HOST, "--port", str(PORT), "--username", USER, "--password", PASSWORD]
# Exit codes are those of sysexits.h.
DATA_ERROR = 65


def admin(*words, code=0):
    """What the program prints; a home of its own keeps it from somebody's configuration file."""
    return run(PROGRAM, *LOGIN, "--non-interactive", *words, code=code, env={"HOME": FOLDER.name})


def declare():
    vhost, user, queue, exchange = unique("v"), unique("u"), unique("q"), unique("x")
    inside = ["--vhost", vhost]
    admin("vhosts", "declare", "--name", vhost, "--description", "for a test", "--default-queue-type", "classic")
    admin("users", "declare", "--name", user, "--password", "secret", "--tags", "monitoring")
    for name in (user, USER):
        admin(*inside, "declare", "permissions", "--username", name, "--configure", ".*", "--read", ".*", "--write", ".*")
    admin(*inside, "exchanges", "declare", "--name", exchange, "--type", "topic")
    admin(*inside, "queues", "declare", "--name", queue, "--type", "quorum", "--arguments", '{"x-max-length": 10}')
    admin(*inside, "declare", "queue", "--name", f"{queue}.classic", "--durable", "true")
    admin(*inside, "declare", "stream", "--name", f"{queue}.stream", "--expiration", "7D")
    binding = ["--source", exchange, "--destination-type", "queue", "--destination", queue, "--routing-key", "a.#"]
    admin(*inside, "declare", "binding", *binding)
    policy = ["--name", "p", "--pattern", "^q", "--apply-to", "queues", "--definition", '{"max-length": 7}']
    admin(*inside, "declare", "policy", *policy)
    admin(*inside, "declare", "operator_policy", *policy)
    admin(*inside, "declare", "vhost_limit", "--name", "max-queues", "--value", "9")
    admin("declare", "user_limit", "--username", user, "--name", "max-connections", "--value", "3")
    equal("the queue", get(f"/api/queues/{vhost}/{queue}")["arguments"], {"x-max-length": 10, "x-queue-type": "quorum"})
    equal("the stream", get(f"/api/queues/{vhost}/{queue}.stream")["arguments"]["x-max-age"], "7D")
    equal("the policy", get(f"/api/policies/{vhost}/p")["definition"], {"max-length": 7})
    equal("the limit of the user", get(f"/api/user-limits/{user}")[0]["value"], {"max-connections": 3})
    bindings = [b["routing_key"] for b in get(f"/api/bindings/{vhost}") if b["source"] == exchange]
    equal("the bindings", bindings, ["a.#"])
    admin(*inside, "delete", "binding", *binding)
    for kind, name in [("queue", queue), ("exchange", exchange), ("policy", "p"), ("operator_policy", "p")]:
        admin(*inside, "delete", kind, "--name", name)
    admin("users", "delete", "--name", user)
    admin("vhosts", "delete", "--name", vhost)
    equal("the vhost that is gone", api("GET", f"/api/vhosts/{vhost}")[0], 404)


def list_everything():
    kinds = (
        "users vhosts permissions connections channels queues exchanges bindings consumers parameters policies "
        "operator_policies vhost_limits feature_flags"
    ).split()
    if not PEER:  # This program cannot decode a node of RabbitMQ 3.10, which has no deprecated features either.
        kinds += ["nodes", "deprecated_features", "deprecated_features_in_use"]
    for kind in kinds:
        admin("list", kind)
    admin("list", "user_limits", "--username", USER)
    queue = unique("list")
    admin("queues", "declare", "--name", queue)
    contains("the queues", admin("queues", "list"), queue)
    contains("the exchanges", admin("exchanges", "list"), "amq.topic")
    admin("queues", "delete", "--name", queue)


def show():
    contains("the overview", admin("show", "overview"), "RabbitMQ")
    admin("show", "churn")
    if PEER:
        raise Skip("rabbitmqadmin v2 cannot decode nodes and queues of RabbitMQ 3.10")
    node = get("/api/nodes")[0]["name"]
    for unit in ("memory_breakdown_in_bytes", "memory_breakdown_in_percent"):
        contains(unit, admin("show", unit, "--node", node).lower(), "total", "code")
    queue = unique("show")
    admin("queues", "declare", "--name", queue)
    contains("one queue", admin("queues", "show", "--name", queue), queue)
    admin("queues", "delete", "--name", queue)


def messages():
    queue = unique("messages")
    admin("queues", "declare", "--name", queue)
    for payload in ("first", "second"):
        admin("publish", "message", "--routing-key", queue, "--payload", payload, "--properties", '{"type": "greeting"}')
    text = admin("get", "messages", "--queue", queue, "--count", "1", "--ack-mode", "ack_requeue_true")
    contains("the message", text, "first")
    text = admin("get", "messages", "--queue", queue, "--count", "5", "--ack-mode", "ack_requeue_false")
    contains("the messages", text, "first", "second")
    admin("publish", "message", "--routing-key", queue, "--payload", "third")
    admin("purge", "queue", "--name", queue)
    if "third" in admin("get", "messages", "--queue", queue, "--count", "5", "--ack-mode", "ack_requeue_false"):
        raise AssertionError("a purged message is still there")
    admin("queues", "delete", "--name", queue)


def definitions():
    vhost, queue, file = unique("definitions"), unique("q"), str(Path(FOLDER.name, "definitions.json"))
    admin("vhosts", "declare", "--name", vhost)
    permissions = ["--username", USER, "--configure", ".*", "--read", ".*", "--write", ".*"]
    admin("--vhost", vhost, "declare", "permissions", *permissions)
    admin("--vhost", vhost, "queues", "declare", "--name", queue)
    admin("definitions", "export", "--file", file)
    exported = json.loads(Path(file).read_text())
    equal("the queue in the file", [q["vhost"] for q in exported["queues"] if q["name"] == queue], [vhost])
    admin("vhosts", "delete", "--name", vhost)
    admin("definitions", "import", "--file", file)
    get(f"/api/queues/{vhost}/{queue}")
    admin("--vhost", vhost, "definitions", "export_from_vhost", "--file", file)
    admin("--vhost", vhost, "queues", "delete", "--name", queue)
    admin("--vhost", vhost, "definitions", "import_into_vhost", "--file", file)
    get(f"/api/queues/{vhost}/{queue}")
    contains("transformed", admin("definitions", "export", "--stdout", "--transformations", "exclude_users"), vhost)
    admin("vhosts", "delete", "--name", vhost)


def health():
    for check in ("local_alarms", "cluster_wide_alarms", "node_is_quorum_critical"):
        admin("health_check", check)
    port = os.environ["AMQP_URL"].rsplit("/", 1)[0].rsplit(":", 1)[1]
    admin("health_check", "port_listener", "--port", port)
    admin("health_check", "protocol_listener", "--protocol", "amqp")
    unused = run(PROGRAM, *LOGIN, "health_check", "port_listener", "--port", "1", code=HEALTH_FAILED)
    equal("what goes to stdout of a failure", "OK" in unused, False)


def errors():
    admin("queues", "delete", "--name", unique("nowhere"), code=DATA_ERROR)
    admin("queues", "delete", "--name", unique("nowhere"), "--idempotently")
    wrong = ["--host", HOST, "--port", str(PORT), "--username", USER, "--password", "wrong"]
    run(PROGRAM, *wrong, "list", "queues", code=DATA_ERROR)


# What it ends with when a check fails: EX_UNAVAILABLE of sysexits.h.
HEALTH_FAILED = 69

CAPABILITIES = {
    "declare": declare,
    "list": list_everything,
    "show": show,
    "messages": messages,
    "definitions": definitions,
    "health": health,
    "errors": errors,
}

if __name__ == "__main__":
    run_all("rabbitmqadmin-v2", os.environ["CLIENT_VERSION"], CAPABILITIES, seconds_max=180)
