"""rabbitmqadmin v1 does what scripts have done with it for years."""

import json
import os
import stat
import sys
import tempfile
import urllib.request
from pathlib import Path

import pika

from management import HOST, PASSWORD, PORT, USER, api, contains, get, run
from report import AMQP_URL, equal, run_all, unique, wait_until

PROGRAM = os.environ["RABBITMQADMIN"]
FOLDER = tempfile.TemporaryDirectory(prefix="leveret-rabbitmqadmin-")


def admin(*words, code=0, program=(sys.executable, PROGRAM)):
    """What the program prints; a home of its own keeps it from somebody's configuration file."""
    login = ["-H", HOST, "-P", str(PORT), "-u", USER, "-p", PASSWORD]
    return run(*program, *login, *words, code=code, env={"HOME": FOLDER.name})


def table(*words):
    """A list as the program prints it for scripts: a row for each object, split at tabs, without the head."""
    return [line.split("\t") for line in admin("-f", "tsv", *words).splitlines()[1:]]


def declare():
    vhost, user, queue, exchange = unique("v"), unique("u"), unique("q"), unique("x")
    inside = ["-V", vhost]
    admin("declare", "vhost", f"name={vhost}")
    admin("declare", "user", f"name={user}", "password=secret", "tags=monitoring")
    for name in (user, USER):
        admin("declare", "permission", f"vhost={vhost}", f"user={name}", "configure=.*", "write=.*", "read=.*")
    admin(*inside, "declare", "exchange", f"name={exchange}", "type=topic")
    admin(*inside, "declare", "queue", f"name={queue}", "durable=true", 'arguments={"x-max-length": 10}')
    # The option may stand behind the command as well.
    binding = [f"source={exchange}", f"destination={queue}", "routing_key=a.#"]
    admin("declare", "binding", *binding, f"--vhost={vhost}")
    admin(*inside, "declare", "policy", "name=p", "pattern=^q", 'definition={"expires":3600000}', "apply-to=queues")
    limit = ["name=o", "pattern=^q", 'definition={"max-length":5}', "apply-to=queues"]
    admin(*inside, "declare", "operator_policy", *limit)
    admin("declare", "vhost_limit", f"vhost={vhost}", "name=max-queues", "value=7")
    equal("the queue's arguments", get(f"/api/queues/{vhost}/{queue}")["arguments"], {"x-max-length": 10})
    equal("the exchange's type", get(f"/api/exchanges/{vhost}/{exchange}")["type"], "topic")
    bindings = [b for b in get(f"/api/bindings/{vhost}") if b["source"] == exchange]
    equal("the binding's key", [b["routing_key"] for b in bindings], ["a.#"])
    equal("the policy", get(f"/api/policies/{vhost}/p")["definition"], {"expires": 3600000})
    equal("the operator policy", get(f"/api/operator-policies/{vhost}/o")["definition"], {"max-length": 5})
    equal("the limit", get(f"/api/vhost-limits/{vhost}")[0]["value"], {"max-queues": 7})
    binding = [f"source={exchange}", "destination_type=queue", f"destination={queue}", "properties_key=a.%23"]
    admin(*inside, "delete", "binding", *binding)
    admin(*inside, "delete", "queue", f"name={queue}")
    admin(*inside, "delete", "exchange", f"name={exchange}")
    admin(*inside, "delete", "policy", "name=p")
    equal("what is left of queues", get(f"/api/queues/{vhost}"), [])
    admin("delete", "user", f"name={user}")
    admin("delete", "vhost", f"name={vhost}")
    equal("the vhost that is gone", api("GET", f"/api/vhosts/{vhost}")[0], 404)
    contains("the error", admin("delete", "queue", f"name={queue}", code=1) or "404", "404")


def list_everything():
    for kind in (
        "users vhosts connections exchanges bindings permissions queues policies operator_policies parameters channels "
        "consumers nodes vhost_limits"
    ).split():
        admin("list", kind)
    first, second = sorted([unique("list.a"), unique("list.b")])
    for name in (second, first):
        admin("declare", "queue", f"name={name}", "auto_delete=true")
    wait_for_counts(first, second)
    rows = table("--sort=name", "list", "queues", "vhost", "name", "messages")
    rows = [row for row in rows if row[1] in (first, second)]
    equal("the rows", rows, [["/", first, "0"], ["/", second, "0"]])
    rows = table("--sort=name", "--sort-reverse", "list", "queues", "name")
    equal("the rows in reverse", [row[0] for row in rows if row[0] in (first, second)], [second, first])
    default = [row for row in table("list", "exchanges", "vhost", "name", "type") if row[:2] == ["/", "amq.topic"]]
    equal("a default exchange", default, [["/", "amq.topic", "topic"]])
    contains("the overview", admin("show", "overview"), "rabbitmq_version")
    for name in (first, second):
        admin("delete", "queue", f"name={name}")


def wait_for_counts(*queues):
    """RabbitMQ takes up to five seconds to know how many messages a new queue has."""
    wait_until(lambda: all("messages" in get(f"/api/queues/%2F/{queue}") for queue in queues), "the counts are known")


def formats():
    queue = unique("formats")
    admin("declare", "queue", f"name={queue}")
    wait_for_counts(queue)
    wanted = {
        "tsv": f"{queue}\t0",
        "long": f"name: {queue}",
        "kvp": f'name="{queue}"',
        "bash": queue,
        "raw_json": f'"name":"{queue}"',
        "pretty_json": f'"name": "{queue}"',
        "table": f"| {queue}",
    }
    for style, text in wanted.items():
        columns = ["list", "queues"] if style == "bash" else ["list", "queues", "name", "messages"]
        contains(style, admin("-f", style, *columns), text)
    admin("delete", "queue", f"name={queue}")


def messages():
    queue = unique("messages")
    admin("declare", "queue", f"name={queue}", "durable=false")
    publish = ["publish", "exchange=amq.default", f"routing_key={queue}"]
    text = admin(*publish, "payload=hello, world", 'properties={"type":"greeting"}')
    contains("the answer", text, "Message published")
    contains("to nobody", admin("publish", "exchange=amq.default", "routing_key=nobody.there", "payload=x"), "NOT routed")
    [message] = json.loads(admin("-f", "raw_json", "get", f"queue={queue}"))
    equal("the message", (message["payload"], message["redelivered"]), ("hello, world", False))
    equal("its type", message["properties"]["type"], "greeting")
    # ack_requeue_true is the default.
    [message] = json.loads(admin("-f", "raw_json", "get", f"queue={queue}", "count=5", "ackmode=ack_requeue_false"))
    equal("the message is redelivered", message["redelivered"], True)
    admin(*publish, "payload=aGVsbG8=", "payload_encoding=base64")
    admin("purge", "queue", f"name={queue}")
    equal("what is left", json.loads(admin("-f", "raw_json", "get", f"queue={queue}")), [])
    admin("delete", "queue", f"name={queue}")


def definitions():
    vhost, queue, file = unique("definitions"), unique("q"), str(Path(FOLDER.name, "definitions.json"))
    admin("declare", "vhost", f"name={vhost}")
    admin("declare", "permission", f"vhost={vhost}", f"user={USER}", "configure=.*", "write=.*", "read=.*")
    admin("-V", vhost, "declare", "queue", f"name={queue}")
    admin("export", file)
    contains("the file", Path(file).read_text(), vhost, queue, "password_hash")
    admin("delete", "vhost", f"name={vhost}")
    admin("import", file)
    equal("the queue is back", get(f"/api/queues/{vhost}/{queue}")["durable"], True)
    admin("-V", vhost, "export", file)
    equal("the file of a vhost", [q["name"] for q in json.loads(Path(file).read_text())["queues"]], [queue])
    admin("delete", "vhost", f"name={vhost}")


def connections():
    name = unique("connection")
    parameters = pika.URLParameters(AMQP_URL)
    parameters.client_properties = {"connection_name": name}
    connection = pika.BlockingConnection(parameters)
    connection.channel()

    def listed():
        connection.process_data_events()
        return [c["name"] for c in get("/api/connections") if c.get("user_provided_name") == name]

    # RabbitMQ takes up to five seconds to know a connection by its statistics.
    [internal] = wait_until(listed, "the connection is listed")
    contains("the list", admin("list", "connections", "name", "user"), internal)
    admin("close", "connection", f"name={internal}")
    wait_until(lambda: not is_open(connection), "the connection is closed")


def is_open(connection):
    try:
        connection.process_data_events(0.1)
        return connection.is_open
    except pika.exceptions.AMQPConnectionError:
        return False


def download():
    with urllib.request.urlopen(f"http://{HOST}:{PORT}/cli/rabbitmqadmin", timeout=30) as answer:
        program = Path(FOLDER.name, "rabbitmqadmin")
        program.write_bytes(answer.read())
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    queue = unique("download")
    # As the program itself, by its first line.
    admin("declare", "queue", f"name={queue}", program=[str(program)])
    contains("the list", admin("-f", "tsv", "list", "queues", "name", program=[str(program)]), queue)
    admin("delete", "queue", f"name={queue}", program=[str(program)])
    equal("the queue that is gone", api("GET", f"/api/queues/%2F/{queue}")[0], 404)


CAPABILITIES = {
    "declare": declare,
    "list": list_everything,
    "formats": formats,
    "messages": messages,
    "definitions": definitions,
    "connections": connections,
    "download": download,
}

if __name__ == "__main__":
    run_all("rabbitmqadmin-v1", os.environ["CLIENT_VERSION"], CAPABILITIES, seconds_max=180)
