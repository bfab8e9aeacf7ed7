"""What the programs of all Python clients share: they run their capabilities one by one, each within a time limit, and
print one line for each.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
import traceback

# Times are those of a slow machine that others use too.
SECONDS_MAX = 90
# For one thing to happen: less, so that the reason is told.
WAIT_SECONDS_MAX = 30
# What the broker may need to be back, on top of that.
RESTART_SECONDS_MAX = 240
AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")


class Skip(Exception):
    """The client itself cannot do it."""


def run_all(client, version, capabilities, seconds_max=SECONDS_MAX):
    """Runs each of `capabilities` (name: function) and ends the program: with 0 when all is well, else with 1."""
    print(f"client {client} {version}", flush=True)
    results = [run_one(name, work, seconds_max) for name, work in capabilities.items()]
    sys.exit(0 if all(results) else 1)


def run_one(name, work, seconds_max):
    """Runs one and prints how it went; false if it failed."""
    limit = seconds_max + (RESTART_SECONDS_MAX if name == "recovery" else 0)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(limit)
    start = time.monotonic()
    try:
        work()
        line = f"ok {name}"
    except Skip as why:
        line = f"skip {name}: {why}"
    except Exception as error:  # Whatever it is: the others are still to be run.
        traceback.print_exc()
        line = f"not ok {name}: {reason(error)}"
    finally:
        signal.alarm(0)
    print(f"{name} took {time.monotonic() - start:.1f} s", file=sys.stderr)
    print(line, flush=True)
    return not line.startswith("not ok")


def out_of_time(_signal, _frame):
    raise TimeoutError("it took too long")


def reason(error):
    """An error in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, AssertionError) and text else f"{type(error).__name__} {text}".strip()


def equal(what, actual, wanted):
    """Fails unless `actual` is what is wanted, and says what it is instead."""
    if actual != wanted:
        raise AssertionError(f"{what} is {actual!r}, not {wanted!r}")


def unique(label):
    """A name that nobody else uses."""
    return f"interop.{label}.{secrets.token_hex(4)}"


def restart_broker():
    """Stops the broker and starts it again with its data; returns when it listens."""
    restart = os.environ.get("BROKER_RESTART")
    if not restart:
        raise AssertionError("BROKER_RESTART is not set, so there is no way to restart the broker")
    subprocess.run([restart], check=True, stdout=sys.stderr, timeout=RESTART_SECONDS_MAX)


def check_death(death, queue, reason, routing_key, exchange=""):
    """Checks what a broker notes in `x-death` when it moves a message away from a queue for the first time."""
    equal("x-death's count", death["count"], 1)
    equal("x-death's reason", death["reason"], reason)
    equal("x-death's queue", death["queue"], queue)
    equal("x-death's exchange", death["exchange"], exchange)
    equal("x-death's routing-keys", death["routing-keys"], [routing_key])
    if "time" not in death:
        raise AssertionError("x-death has no time")


def wait_until(condition, what, seconds_max=WAIT_SECONDS_MAX):
    """Waits for a condition, and gives back what it gave."""
    deadline = time.monotonic() + seconds_max
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds_max} s: {what}")
        time.sleep(0.05)
    return found
