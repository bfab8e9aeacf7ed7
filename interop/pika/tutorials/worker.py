"""Tutorial 2, work queues: does tasks, one at a time.    python worker.py [url]

Start several: the tasks are shared between them, and the tasks of a worker that dies are done
by another one.
"""

import time

import pika

from common import consume_until_interrupted, name, parameters

DOT_SECONDS = 0.1

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
queue = name("task_queue")
channel.queue_declare(queue, durable=True)

# Fair dispatch: the next task comes only when the one at hand is acknowledged, so that a worker
# with a long task is passed over in favour of one that is free.
channel.basic_qos(prefetch_count=1)


def on_task(channel, method, _properties, body):
    task = body.decode()
    print(f"started '{task}'", flush=True)
    time.sleep(task.count(".") * DOT_SECONDS)
    print(f"done '{task}'", flush=True)
    # Only now. Had this process died during the work, the task would go to another worker.
    channel.basic_ack(method.delivery_tag)


channel.basic_consume(queue, on_task)
consume_until_interrupted(channel)
