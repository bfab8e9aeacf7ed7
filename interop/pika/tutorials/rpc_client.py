"""Tutorial 6, RPC: asks for a Fibonacci number.    python rpc_client.py [url] [n]"""

import sys
import uuid

import pika

from common import name, parameters

ANSWER_SECONDS_MAX = 30


class FibonacciClient:
    """Calls the server as if it were a function."""

    def __init__(self, connection):
        self.connection = connection
        self.channel = connection.channel()
        # One queue for all answers to this client, gone when it leaves.
        self.answers_queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.basic_consume(self.answers_queue, self.on_answer, auto_ack=True)
        self.answers = {}

    def on_answer(self, _channel, _method, properties, body):
        self.answers[properties.correlation_id] = int(body)

    def call(self, n):
        # The number of the question comes back with its answer and tells answers apart.
        question = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key=name("rpc_queue"),
            body=str(n).encode(),
            properties=pika.BasicProperties(reply_to=self.answers_queue, correlation_id=question),
        )
        self.connection.process_data_events(time_limit=ANSWER_SECONDS_MAX)
        if question not in self.answers:
            sys.exit(f"no answer within {ANSWER_SECONDS_MAX} s; is a server running?")
        return self.answers.pop(question)


connection = pika.BlockingConnection(parameters())
n = int(sys.argv[1]) if len(sys.argv) > 1 else 30
print(f"fibonacci({n}) = {FibonacciClient(connection).call(n)}")
connection.close()
