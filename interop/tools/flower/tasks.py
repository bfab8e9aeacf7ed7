"""The application that Flower watches."""

import os

from celery import Celery

app = Celery("watched", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.task_default_queue = os.environ["INTEROP_QUEUE"]
app.conf.worker_send_task_events = True
app.conf.task_send_sent_event = True


@app.task(name="tasks.double")
def double(number):
    return 2 * number
