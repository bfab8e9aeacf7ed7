"""Tutorial 5, topics: tells by subject.    python emit_log_topic.py [url] [subject] [text...]

A subject is a list of words with dots between them, such as kern.critical.
"""

import sys

import pika
from pika.exchange_type import ExchangeType

from common import name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
exchange = name("topic_logs")
channel.exchange_declare(exchange, ExchangeType.topic)

subject = sys.argv[1] if len(sys.argv) > 1 else "anonymous.info"
line = " ".join(sys.argv[2:]) or "nothing to report"
channel.basic_publish(exchange, routing_key=subject, body=line.encode())
print(f"sent '{subject}': '{line}'")

connection.close()
