"""What Celery can do on this broker, one function each.

Most of it is done by one worker with two processes, whose results come back by `rpc://`. Another worker is started for
what that one cannot show: chords need a backend that keeps results (a folder here), and only one process has an order.
"""

import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import AMQP_URL, equal, restart_broker, run_all, unique, wait_until

# The application reads these when it is made.
os.environ.update(AMQP_URL=AMQP_URL, INTEROP_PREFIX=unique("celery"))

import celery  # noqa: E402
from celery import chain, chord, group  # noqa: E402
from celery.exceptions import TaskRevokedError  # noqa: E402

import tasks  # noqa: E402
from tasks import PREFIX, QUEUE, RANKED_QUEUE, add, app, make_app, now  # noqa: E402

SECONDS_MAX = 150
RESULT_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
ANSWER_SECONDS_MAX = 20
WORKER = f"first@{PREFIX}"
RANKED_WORKER = f"ranked@{PREFIX}"
FOLDER = tempfile.TemporaryDirectory(prefix="leveret-celery-")


@contextlib.contextmanager
def worker(name, queue, processes, backend):
    """A worker of the pool `prefork`; its log goes to our stderr."""
    command = [sys.executable, "-m", "celery", "--app", "tasks", "worker", "--pool", "prefork", "--task-events"]
    command += ["--hostname", name, "--queues", queue, "--concurrency", str(processes), "--loglevel", "INFO"]
    environment = {**os.environ, "INTEROP_BACKEND": backend, "INTEROP_QUEUE": queue}
    process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ranked_app():
    """An application for the queue with priorities whose results are kept in a folder, and how to start its worker."""
    folder = Path(FOLDER.name, unique("results"))
    folder.mkdir()
    backend = f"file://{folder}"
    yield make_app(backend, RANKED_QUEUE, set_as_current=False), worker(RANKED_WORKER, RANKED_QUEUE, 1, backend)


def value_of(result):
    return result.get(timeout=RESULT_SECONDS_MAX)


def run_chain():
    equal("1 + 2 + 3 + 4", value_of(chain(add.s(1, 2), add.s(3), add.s(4))()), 10)


def run_chord():
    with ranked_app() as (ranked, ranked_worker), ranked_worker:
        ranked_add, ranked_total = ranked.tasks["tasks.add"], ranked.tasks["tasks.total"]
        result = chord([ranked_add.s(number, 1) for number in range(5)], app=ranked)(ranked_total.s())
        equal("the total of 1 to 5", value_of(result), 15)


def run_group():
    sums = group(add.s(number, number) for number in range(20))()
    equal("the results in their order", value_of(sums), [2 * number for number in range(20)])


def eta_countdown():
    sent = time.time()
    by_countdown = now.apply_async(countdown=2)
    by_eta = now.apply_async(eta=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1))
    at_once = now.delay()
    for what, result, least in [("at once", at_once, 0), ("by eta", by_eta, 1), ("by countdown", by_countdown, 2)]:
        seconds = value_of(result) - sent
        if not least <= seconds < least + 30:
            raise AssertionError(f"the task {what} was run {seconds:.2f} s after it was sent")


def retry():
    equal("the retries", value_of(tasks.third_time_lucky.delay()), 2)


def revoke():
    trace = Path(FOLDER.name, "revoked")
    waiting = tasks.touch.apply_async([str(trace)], countdown=6)
    waiting.revoke()
    check_revoked(waiting)
    equal("a trace of what was called off", trace.exists(), False)
    # And one that runs already.
    running = tasks.sleep.delay(60)
    wait_until(lambda: told_by_worker("active"), "the task is started")
    running.revoke(terminate=True)
    check_revoked(running)


def check_revoked(result):
    try:
        value_of(result)
    except TaskRevokedError:
        return
    raise AssertionError("a task was run that had been called off")


def priorities():
    sent = (1, 5, 9, 0, 3)
    with ranked_app() as (ranked, ranked_worker):
        results = [ranked.tasks["tasks.now"].apply_async(priority=priority) for priority in sent]
        # All of them wait by now.
        with ranked_worker:
            when = [value_of(result) for result in results]
    order = [priority for _, priority in sorted(zip(when, sent))]
    equal("the order", order, sorted(sent, reverse=True))


def results():
    equal("a value", value_of(add.delay([1], [None, "ü", {"a": 2.5}])), [1, None, "ü", {"a": 2.5}])
    half = "x" * 1_000_000
    equal("the length of a large value", len(value_of(add.delay(half, half))), 2_000_000)
    failed = tasks.divide.delay(1, 0)
    try:
        value_of(failed)
        raise AssertionError("a division by zero has a result")
    except ZeroDivisionError as error:
        equal("the exception", str(error), "division by zero")
    equal("its state", failed.state, "FAILURE")


def events():
    seen = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        with receiver.consumer_context() as (connection, _channel, _consumers):
            task = add.delay(1, 2).id

            def told():
                """What was told of our task so far; one more event is awaited."""
                connection.drain_events(timeout=30)
                return [event["type"] for event in seen if event.get("uuid") == task]

            wait_until(lambda: "task-succeeded" in told(), "the worker tells that the task is done")
            equal("what was told", told(), ["task-received", "task-started", "task-succeeded"])
    [succeeded] = [event for event in seen if event["type"] == "task-succeeded" and event["uuid"] == task]
    equal("who told", (succeeded["hostname"], succeeded["result"]), (WORKER, "3"))


def inspect():
    equal("the answer to ping", celery_inspect("ping"), {WORKER: {"ok": "pong"}})
    registered = celery_inspect("registered")[WORKER]
    if "tasks.add" not in registered:
        raise AssertionError(f"the worker does not know its task: {registered}")
    queues = celery_inspect("active_queues")[WORKER]
    equal("its queues", [queue["name"] for queue in queues], [QUEUE])
    equal("its processes", celery_inspect("stats")[WORKER]["pool"]["max-concurrency"], 2)
    held = now.apply_async(countdown=60)
    scheduled = wait_until(lambda: celery_inspect("scheduled")[WORKER], "the task is scheduled")
    equal("what is scheduled", [task["request"]["id"] for task in scheduled], [held.id])
    held.revoke()


def told_by_worker(what):
    """What the worker tells of itself; nothing if it is too busy to answer."""
    inspect = app.control.inspect([WORKER], timeout=ANSWER_SECONDS_MAX)
    return (getattr(inspect, what)() or {}).get(WORKER)


def celery_inspect(what):
    """What the program prints that every user of Celery knows."""
    # With a destination it is known how many answers there will be.
    command = [sys.executable, "-m", "celery", "--app", "tasks", "inspect", "--destination", WORKER]
    command += ["--timeout", str(ANSWER_SECONDS_MAX), "--json", what]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def recovery():
    """The worker reconnects by itself. A task that it held for later is given to it again."""
    trace = Path(FOLDER.name, "recovered")
    tasks.touch.apply_async([str(trace)], countdown=12)
    wait_until(lambda: told_by_worker("scheduled"), "the task is held for later")
    restart_broker()
    # Results of before are lost with their queue. This is a caller who comes after the restart.
    caller = make_app("rpc://", QUEUE, set_as_current=False)
    equal("a task sent after the restart", value_of(caller.tasks["tasks.add"].delay(20, 22)), 42)
    wait_until(trace.exists, "the task that was held is run")
    equal("its runs", trace.read_text(), "here\n")


def delete_all():
    """Deletes what Celery declares for ever; all else goes with the workers, or expires in a minute."""
    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in (QUEUE, RANKED_QUEUE):
            channel.queue_delete(queue)
        control = app.conf.control_exchange
        for exchange in (QUEUE, RANKED_QUEUE, app.conf.event_exchange, f"{control}.pidbox", f"reply.{control}.pidbox"):
            channel.exchange_delete(exchange)


if __name__ == "__main__":
    try:
        with FOLDER, worker(WORKER, QUEUE, 2, "rpc://"):
            run_all(
                "celery",
                celery.__version__,
                {
                    "chain": run_chain,
                    "chord": run_chord,
                    "group": run_group,
                    "eta-countdown": eta_countdown,
                    "retry": retry,
                    "revoke": revoke,
                    "priorities": priorities,
                    "results": results,
                    "events": events,
                    "inspect": inspect,
                    "recovery": recovery,
                },
                SECONDS_MAX,
            )
    finally:
        delete_all()
