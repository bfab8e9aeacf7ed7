"""Tutorial 4, routing: tells those who asked.

python emit_log_direct.py [url] [severity] [text...]
"""

import sys

import pika
from pika.exchange_type import ExchangeType

from common import name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()

# A direct exchange gives a copy to the queues bound with exactly the message's routing key.
exchange = name("direct_logs")
channel.exchange_declare(exchange, ExchangeType.direct)

severity = sys.argv[1] if len(sys.argv) > 1 else "info"
line = " ".join(sys.argv[2:]) or "nothing to report"
channel.basic_publish(exchange, routing_key=severity, body=line.encode())
print(f"sent '{severity}': '{line}'")

connection.close()
