"""Tutorial 4, routing: listens to some severities.

python receive_logs_direct.py [url] severity...
"""

import sys

import pika
from pika.exchange_type import ExchangeType

from common import consume_until_interrupted, name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
exchange = name("direct_logs")
channel.exchange_declare(exchange, ExchangeType.direct)

severities = sys.argv[1:]
if not severities:
    sys.exit("say which severities you want, for example: warning error")

# One binding for each severity; all lead to the same queue.
queue = channel.queue_declare("", exclusive=True).method.queue
for severity in severities:
    channel.queue_bind(queue, exchange, routing_key=severity)


def on_line(_channel, method, _properties, body):
    print(f"received '{method.routing_key}': '{body.decode()}'", flush=True)


channel.basic_consume(queue, on_line, auto_ack=True)
consume_until_interrupted(channel)
