"""What every test here may ask for: a broker, connections to it, and names of its own.

A test that wants a queue writes `def test_x(channel, unique)` and declares `unique("orders")`.
The name is used by nobody else, and whatever has that name is deleted when the test ends.
"""

import os
import secrets
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pika
import pytest

# So that a failed assertion in there shows its values as well.
pytest.register_assert_rewrite("helpers", "raw", "router")

from router import Router  # noqa: E402 (after the line above, or it has no effect)

REPOSITORY = Path(__file__).resolve().parents[3]
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
LISTENING = "listening on "
STARTED = "Server startup complete"


@dataclass(frozen=True)
class Broker:
    """Where the broker under test is, and which one it is."""

    url: str
    is_rabbitmq: bool

    def parameters(self, **changes):
        """Fresh connection parameters; `changes` are set on them, e.g. heartbeat=1."""
        parameters = pika.URLParameters(self.url)
        for field, value in changes.items():
            setattr(parameters, field, value)
        return parameters


# ---------------------------------------------------------------------------------------------
# The broker: one for the whole run
# ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """The broker at AMQP_URL, or the built binary on a data directory, started here and stopped at the end."""
    url = os.environ.get("AMQP_URL")
    if url:
        yield Broker(url, is_rabbitmq=os.environ.get("LEVERET_PEER") == "rabbitmq")
        return
    log = tmp_path_factory.mktemp("broker") / "stderr.log"
    with tempfile.TemporaryDirectory(prefix="leveret-pika-") as data, log.open("wb") as stderr:
        process = subprocess.Popen(
            [find_binary(), "serve", "--data-dir", data, "--bind", "127.0.0.1", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            address = await_start(process)
            assert address, f"the broker did not start:\n{log.read_text()}"
            yield Broker(f"amqp://guest:guest@{address}/%2f", is_rabbitmq=False)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.send_signal(signal.SIGTERM)
        try:
            exit_code = process.wait(STOP_SECONDS_MAX)
        finally:
            process.kill()
        assert exit_code == 0, f"the broker ended with {exit_code}:\n{log.read_text()}"


def find_binary():
    """LEVERET_BIN, or else the release or debug binary that cargo left."""
    given = os.environ.get("LEVERET_BIN")
    if given:
        return given
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    for profile in ("release", "debug"):
        candidate = target / profile / "leveret"
        if candidate.exists():
            return str(candidate)
    pytest.exit(f"no broker: build it, or set LEVERET_BIN or AMQP_URL (looked in {target})", 2)


def await_start(process):
    """Reads the broker's stdout until it is ready; gives the host:port it listens on, or None."""
    watchdog = threading.Timer(START_SECONDS_MAX, process.kill)
    watchdog.start()
    address = None
    for line in process.stdout:
        if line.startswith(LISTENING):
            address = line.removeprefix(LISTENING).strip()
        if line.startswith(STARTED):
            watchdog.cancel()
            # Nobody is interested in the rest, but a full pipe would stop the broker.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return address
    return None


@pytest.fixture
def peer_is_rabbitmq(broker):
    """True when the tests are proved on RabbitMQ 3.10, which differs from 4.x here and there."""
    return broker.is_rabbitmq


# ---------------------------------------------------------------------------------------------
# Names and connections
# ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def janitor(broker):
    """The connection that clears up after each test. It is not served, so it has no heartbeat."""
    with pika.BlockingConnection(broker.parameters(heartbeat=0)) as connection:
        yield connection


@pytest.fixture
def unique(janitor, request):
    """Makes a name for a queue or an exchange; whatever bears it is gone after the test."""
    made = []

    def make(label):
        made.append(f"pika.{request.node.originalname}.{label}.{secrets.token_hex(4)}")
        return made[-1]

    yield make
    channel = janitor.channel()
    for name in made:
        # AMQP is content when there is nothing of that name.
        channel.queue_delete(name)
        channel.exchange_delete(name)
    channel.close()


@pytest.fixture
def connect(broker, unique):
    """Opens blocking connections: `connect()` or `connect(heartbeat=1)`. Closed after the test."""
    opened = []

    def open_connection(**changes):
        opened.append(pika.BlockingConnection(broker.parameters(**changes)))
        return opened[-1]

    yield open_connection
    for connection in opened:
        if connection.is_open:
            connection.close()


@pytest.fixture
def connection(connect):
    """One blocking connection."""
    return connect()


@pytest.fixture
def channel(connection):
    """One channel on that connection."""
    return connection.channel()


@pytest.fixture
def router(channel, unique):
    """Declares, binds and publishes by short labels, and tells which queues got a message."""
    return Router(channel, unique)
