"""The seven tutorials as their reader runs them: real processes, judged by what they print."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helpers import wait_until

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
EXIT_SECONDS_MAX = 60
READY = "waiting for messages; CTRL+C ends"


class Program:
    """A tutorial program that runs in the background."""

    def __init__(self, environment, script, *arguments):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", script, *arguments],
            cwd=TUTORIALS,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A test run started in the background of a shell ignores CTRL+C, and so would its
            # children; these are meant to be interrupted.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, line, times=1):
        """Waits until the program has printed the line so many times."""
        wait_until(lambda: self.lines.count(line) >= times or self.process.poll() is not None)
        assert self.lines.count(line) == times, self.lines

    def finish(self):
        """Waits until the program ends by itself; gives all it printed."""
        exit_code = self.process.wait(EXIT_SECONDS_MAX)
        self.reader.join(EXIT_SECONDS_MAX)
        assert exit_code == 0, self.lines
        return self.lines

    def interrupt(self):
        """CTRL+C. Gives what the program printed between its first line and its last."""
        self.process.send_signal(signal.SIGINT)
        lines = self.finish()
        assert (lines[0], lines[-1]) == (READY, "closed"), lines
        return lines[1:-1]

    def kill(self):
        """The process is gone at once, without a word to the broker."""
        self.process.kill()
        self.process.wait(EXIT_SECONDS_MAX)
        self.process.stdout.close()


@pytest.fixture
def start(broker, unique, janitor):
    """`start("send.py", ...)` starts a program with the broker's URL; all end with the test."""
    prefix = unique("tutorial") + "."
    environment = dict(os.environ, TUTORIAL_PREFIX=prefix)
    programs = []

    def start_program(script, *arguments):
        programs.append(Program(environment, script, broker.url, *arguments))
        return programs[-1]

    yield start_program
    for program in programs:
        if program.process.poll() is None:
            program.kill()
    # The programs leave behind what has a fixed name.
    with janitor.channel() as channel:
        for queue in ("hello", "task_queue", "rpc_queue", "confirmed_messages"):
            channel.queue_delete(prefix + queue)
        for exchange in ("logs", "direct_logs", "topic_logs"):
            channel.exchange_delete(prefix + exchange)


@pytest.fixture
def listening(start):
    """`listening("receive.py", ...)` starts a program and waits until it consumes."""

    def start_and_wait(script, *arguments):
        program = start(script, *arguments)
        program.wait_for_line(READY)
        return program

    return start_and_wait


def test_1_hello_world(start, listening):
    # Sent before anybody listens: the queue keeps it.
    assert start("send.py").finish() == ["sent 'Hello World!'"]
    receiver = listening("receive.py")
    receiver.wait_for_line("received 'Hello World!'")
    # Sent while somebody listens.
    start("send.py").finish()
    receiver.wait_for_line("received 'Hello World!'", times=2)
    assert receiver.interrupt() == ["received 'Hello World!'"] * 2


def test_2_work_queues_dispatch_fairly(start, listening):
    busy = listening("worker.py")
    long_task = "long" + "." * 5000
    start("new_task.py", long_task).finish()
    busy.wait_for_line(f"started '{long_task}'")
    # The first worker has its hands full for a while, so the free one gets all of these.
    free = listening("worker.py")
    for task in ("one.", "two.", "three."):
        assert start("new_task.py", task).finish() == [f"sent '{task}'"]
    free.wait_for_line("done 'three.'")
    done = [line for line in free.interrupt() if line.startswith("done")]
    assert done == ["done 'one.'", "done 'two.'", "done 'three.'"]
    # Interrupted at its work, a worker does not finish the task, and so does not acknowledge it.
    assert busy.interrupt() == [f"started '{long_task}'"]
    listening("worker.py").wait_for_line(f"started '{long_task}'")


def test_2_work_of_a_killed_worker_is_done_by_another(start, listening):
    doomed = listening("worker.py")
    task = "precious" + "." * 5000
    start("new_task.py", task).finish()
    doomed.wait_for_line(f"started '{task}'")
    other = listening("worker.py")
    doomed.kill()
    other.wait_for_line(f"started '{task}'")


def test_3_publish_subscribe(start, listening):
    early = listening("receive_logs.py")
    assert start("emit_log.py", "first", "line").finish() == ["sent 'first line'"]
    early.wait_for_line("received 'first line'")
    late = listening("receive_logs.py")
    start("emit_log.py", "second line").finish()
    for listener in (early, late):
        listener.wait_for_line("received 'second line'")
    assert early.interrupt() == ["received 'first line'", "received 'second line'"]
    # Who comes late has missed what was said before.
    assert late.interrupt() == ["received 'second line'"]


def test_4_routing(start, listening):
    everything = listening("receive_logs_direct.py", "info", "warning", "error")
    errors = listening("receive_logs_direct.py", "error")
    start("emit_log_direct.py", "info", "all is well").finish()
    start("emit_log_direct.py", "debug", "nobody asked").finish()
    assert start("emit_log_direct.py", "error", "disk on fire").finish() == [
        "sent 'error': 'disk on fire'"
    ]
    for listener in (everything, errors):
        listener.wait_for_line("received 'error': 'disk on fire'")
    assert everything.interrupt() == [
        "received 'info': 'all is well'",
        "received 'error': 'disk on fire'",
    ]
    assert errors.interrupt() == ["received 'error': 'disk on fire'"]


def test_5_topics(start, listening):
    listeners = {
        "#": listening("receive_logs_topic.py", "#"),
        "kern.*": listening("receive_logs_topic.py", "kern.*"),
        "two patterns": listening("receive_logs_topic.py", "kern.*", "*.critical"),
    }
    subjects = ("kern.critical", "cron.info", "cron.critical", "kern.disk.full", "kern.info")
    for subject in subjects:
        start("emit_log_topic.py", subject, "x").finish()
    for listener in listeners.values():
        listener.wait_for_line("received 'kern.info': 'x'")
    heard = {
        patterns: [re.findall("'([^']+)'", line)[0] for line in listener.interrupt()]
        for patterns, listener in listeners.items()
    }
    assert heard == {
        "#": list(subjects),
        "kern.*": ["kern.critical", "kern.info"],
        # 'kern.critical' matches both patterns and still came once.
        "two patterns": ["kern.critical", "cron.critical", "kern.info"],
    }


def test_6_rpc(start, listening):
    server = listening("rpc_server.py")
    assert start("rpc_client.py", "30").finish() == ["fibonacci(30) = 832040"]
    clients = [start("rpc_client.py", str(n)) for n in (7, 8, 9)]
    answers = [client.finish() for client in clients]
    assert answers == [["fibonacci(7) = 13"], ["fibonacci(8) = 21"], ["fibonacci(9) = 34"]]
    assert len(server.interrupt()) == 4


def test_7_publisher_confirms(start):
    lines = start("publisher_confirms.py", "250").finish()
    confirmed = [line.partition(" in ")[0] for line in lines[:3]]
    assert confirmed == [
        "one_at_a_time: 250 of 250 confirmed",
        "in_batches: 250 of 250 confirmed",
        "as_a_stream: 250 of 250 confirmed",
    ]
    assert lines[3:] == ["the queue held 750 messages and is deleted"]
