"""What the programs of all tools share: where the broker's HTTP API is, how it is asked, how a program is run, and an AMQP
connection made of nothing but a socket for those that watch connections.
"""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

MANAGEMENT_URL = os.environ.get("MANAGEMENT_URL", "http://guest:guest@127.0.0.1:15672")
PROMETHEUS_URL = os.environ.get("PROMETHEUS_URL", "http://127.0.0.1:15692")
PEER = os.environ.get("LEVERET_PEER") == "rabbitmq"
_URL = urllib.parse.urlsplit(MANAGEMENT_URL)
HOST, PORT, USER, PASSWORD = _URL.hostname, _URL.port, _URL.username, _URL.password
RUN_SECONDS_MAX = 60
ANSWER_SECONDS_MAX = 30


def api(method, path, body=None, user=USER, password=PASSWORD):
    """What the HTTP API says to a request: the status and the decoded body."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{HOST}:{PORT}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None


def get(path):
    """A document of the HTTP API."""
    status, document = api("GET", path)
    if status != 200:
        raise AssertionError(f"GET {path} is answered with {status}")
    return document


def put(path, body=None):
    """Makes something by the HTTP API."""
    status, _ = api("PUT", path, {} if body is None else body)
    if status not in (201, 204):
        raise AssertionError(f"PUT {path} is answered with {status}")


def delete(path):
    """Removes something by the HTTP API, if it is there."""
    status, _ = api("DELETE", path)
    if status not in (204, 404):
        raise AssertionError(f"DELETE {path} is answered with {status}")


def run(*words, code=0, env=None):
    """Runs a program; it has to end with `code`. What it prints on stdout."""
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, env=environment)
    if done.returncode != code:
        shown = " ".join((done.stderr or done.stdout).split())
        raise AssertionError(f"`{' '.join(words[1:])}` ended with {done.returncode}, not {code}: {shown}")
    return done.stdout


def contains(what, text, *parts):
    """Fails unless all `parts` are in `text`."""
    for part in parts:
        if part not in text:
            raise AssertionError(f"{what} has no {part!r}: {' '.join(text.split())[:300]}")
