"""Tutorial 1, hello world: prints what arrives in a queue.    python receive.py [url]"""

import pika

from common import consume_until_interrupted, name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
queue = name("hello")
channel.queue_declare(queue)


def on_message(_channel, _method, _properties, body):
    print(f"received '{body.decode()}'", flush=True)


# auto_ack: the broker forgets a message as soon as it is written to this socket.
channel.basic_consume(queue, on_message, auto_ack=True)
consume_until_interrupted(channel)
