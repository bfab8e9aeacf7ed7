"""Flower shows a worker's queue and tasks; it asks the HTTP API about the one and listens to events for the others."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.metadata import version

from management import MANAGEMENT_URL
from report import equal, run_all, unique, wait_until

QUEUE = os.environ["INTEROP_QUEUE"] = unique("flower")
START_SECONDS_MAX = 90


@contextlib.contextmanager
def running(*arguments):
    """A Celery command; its log goes to our stderr."""
    command = [sys.executable, "-m", "celery", "--app", "tasks", *arguments]
    environment = {**os.environ, "FLOWER_UNAUTHENTICATED_API": "true"}
    process = subprocess.Popen(command, stdout=sys.stderr, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


PORT = free_port()


def flower(path):
    """What Flower says to a request, or nothing while it is not up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"Flower answers {path} with {error.code}") from None
    except OSError:
        return None


def queues():
    from tasks import double

    with running("worker", "--pool", "solo", "--queues", QUEUE, "--loglevel", "WARNING"):
        equal("the result", double.delay(21).get(timeout=START_SECONDS_MAX), 42)

        def shown():
            listed = json.loads(flower("/api/queues/length") or "{}").get("active_queues", [])
            return [queue for queue in listed if queue["name"] == QUEUE and queue.get("messages") == 0]

        wait_until(shown, "Flower shows the queue, whose message is done", START_SECONDS_MAX)

        wait_until(lambda: QUEUE in (flower("/broker") or ""), "the page of the broker shows the queue")


def tasks():
    from tasks import double

    with running("worker", "--pool", "solo", "--queues", QUEUE, "--loglevel", "WARNING", "--task-events"):
        result = double.delay(4)
        equal("the result", result.get(timeout=START_SECONDS_MAX), 8)

        def shown():
            listed = json.loads(flower("/api/tasks") or "{}")
            return listed.get(result.id)

        task = wait_until(lambda: (found := shown()) and found["state"] == "SUCCESS" and found, "the task is shown")
        equal("its result", task["result"], "8")


if __name__ == "__main__":
    # The user and the password are in the URL, the virtual host is that of the broker's.
    api = f"{MANAGEMENT_URL}/api/"
    with running("flower", f"--broker-api={api}", f"--port={PORT}", "--address=127.0.0.1", "--inspect-timeout=10000"):
        wait_until(lambda: flower("/healthcheck"), "Flower is up", START_SECONDS_MAX)
        run_all("flower", version("flower"), {"queues": queues, "tasks": tasks}, seconds_max=240)
