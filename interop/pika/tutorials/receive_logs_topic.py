"""Tutorial 5, topics: listens to some subjects.    python receive_logs_topic.py [url] pattern...

In a pattern `*` stands for one word and `#` for any number of them, none included: try
"kern.*", "*.critical" and "#".
"""

import sys

import pika
from pika.exchange_type import ExchangeType

from common import consume_until_interrupted, name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
exchange = name("topic_logs")
channel.exchange_declare(exchange, ExchangeType.topic)

patterns = sys.argv[1:]
if not patterns:
    sys.exit('say which subjects you want, for example: "kern.*" "*.critical"')

# A message that two patterns match still comes once: bindings choose queues, and each queue
# chosen gets one copy.
queue = channel.queue_declare("", exclusive=True).method.queue
for pattern in patterns:
    channel.queue_bind(queue, exchange, routing_key=pattern)


def on_line(_channel, method, _properties, body):
    print(f"received '{method.routing_key}': '{body.decode()}'", flush=True)


channel.basic_consume(queue, on_line, auto_ack=True)
consume_until_interrupted(channel)
