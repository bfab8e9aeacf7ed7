"""Tutorial 2, work queues: hands out a task.    python new_task.py [url] [text...]

Each dot in the text stands for a tenth of a second of work.
"""

import sys

import pika

from common import name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()

# A durable queue is there again after the broker was restarted, and so is a persistent message.
queue = name("task_queue")
channel.queue_declare(queue, durable=True)

task = " ".join(sys.argv[1:]) or "a task..."
persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
channel.basic_publish("", queue, task.encode(), persistent)
print(f"sent '{task}'")

connection.close()
