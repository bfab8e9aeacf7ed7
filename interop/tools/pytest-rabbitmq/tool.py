"""Runs tests that have pytest-rabbitmq start their broker."""

import os
import subprocess
import sys
from importlib.metadata import version

from management import PEER
from report import Skip, run_all

# What would lead the broker of the tests to that of the others.
LEADS = ("LEVERET_DATA_DIR",)


def pytest(expression):
    if PEER:
        raise Skip("a second RabbitMQ on this machine would need a port mapper of its own")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", expression]
    environment = {name: value for name, value in os.environ.items() if name not in LEADS}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode != 0:
        reasons = [line for line in done.stdout.splitlines() if line.startswith(("E ", "ERROR", "FAILED"))]
        raise AssertionError(" ".join(" ".join(reasons).split()) or f"pytest ended with {done.returncode}")


def process():
    pytest("test_process")


def clean():
    pytest("test_clean")


if __name__ == "__main__":
    run_all("pytest-rabbitmq", version("pytest-rabbitmq"), {"process": process, "clean": clean}, seconds_max=240)
