"""The application and its tasks: what workers and those who call them share."""

import os
import time

from celery import Celery, shared_task
from kombu import Exchange, Queue

# Each run has names of its own; Celery would else call everything `celery`.
PREFIX = os.environ["INTEROP_PREFIX"]
QUEUE = f"{PREFIX}.tasks"
RANKED_QUEUE = f"{PREFIX}.ranked"


def make_app(backend, queue, **options):
    """An application that sends its tasks to `queue` and gets their results by `backend`."""
    app = Celery("tasks", broker=os.environ["AMQP_URL"], backend=backend, **options)
    app.conf.update(
        task_queues=[
            Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE),
            Queue(RANKED_QUEUE, Exchange(RANKED_QUEUE), routing_key=RANKED_QUEUE, max_priority=10),
        ],
        task_default_queue=queue,
        control_exchange=f"{PREFIX}.control",
        event_exchange=f"{PREFIX}.events",
        event_queue_prefix=f"{PREFIX}.events",
        # A worker takes no more from the broker than it can begin with.
        worker_prefetch_multiplier=1,
        task_track_started=True,
        broker_connection_retry_on_startup=True,
        result_expires=60,
    )
    return app


app = make_app(os.environ.get("INTEROP_BACKEND", "rpc://"), os.environ.get("INTEROP_QUEUE", QUEUE))


@shared_task
def add(x, y):
    return x + y


@shared_task
def total(numbers):
    return sum(numbers)


@shared_task
def divide(x, y):
    return x / y


@shared_task
def now():
    """When it is run, by the clock of this machine."""
    return time.time()


@shared_task
def sleep(seconds):
    time.sleep(seconds)


@shared_task(bind=True, max_retries=3)
def third_time_lucky(self):
    """Fails twice, then tells how often it was tried again."""
    if self.request.retries < 2:
        raise self.retry(exc=RuntimeError("not yet"), countdown=0.2)
    return self.request.retries


@shared_task
def touch(path):
    """Leaves a trace."""
    with open(path, "a") as file:
        file.write("here\n")
