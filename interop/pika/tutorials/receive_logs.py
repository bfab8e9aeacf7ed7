"""Tutorial 3, publish/subscribe: listens to the log.    python receive_logs.py [url]"""

import pika
from pika.exchange_type import ExchangeType

from common import consume_until_interrupted, name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
exchange = name("logs")
channel.exchange_declare(exchange, ExchangeType.fanout)

# Every listener wants its own copy, so it needs a queue of its own: the broker invents the name,
# and an exclusive queue goes away with the connection that declared it.
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, exchange)


def on_line(_channel, _method, _properties, body):
    print(f"received '{body.decode()}'", flush=True)


channel.basic_consume(queue, on_line, auto_ack=True)
consume_until_interrupted(channel)
