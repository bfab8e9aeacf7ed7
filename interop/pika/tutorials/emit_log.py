"""Tutorial 3, publish/subscribe: tells every listener.    python emit_log.py [url] [text...]"""

import sys

import pika
from pika.exchange_type import ExchangeType

from common import name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()

# A fanout exchange gives a copy to each queue that is bound to it, and ignores the routing key.
exchange = name("logs")
channel.exchange_declare(exchange, ExchangeType.fanout)

line = " ".join(sys.argv[1:]) or "info: nothing to report"
channel.basic_publish(exchange, routing_key="", body=line.encode())
print(f"sent '{line}'")

connection.close()
