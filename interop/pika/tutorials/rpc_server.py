"""Tutorial 6, RPC: answers with Fibonacci numbers.    python rpc_server.py [url]"""

import pika

from common import consume_until_interrupted, name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()
queue = name("rpc_queue")
channel.queue_declare(queue)

# With one request in hand at a time, several servers share the load evenly.
channel.basic_qos(prefetch_count=1)


def fibonacci(n):
    first, second = 0, 1
    for _ in range(n):
        first, second = second, first + second
    return first


def on_request(channel, method, properties, body):
    answer = fibonacci(int(body))
    print(f"fibonacci({int(body)}) = {answer}", flush=True)
    # The answer goes where the question asked for it, marked with the question's number.
    channel.basic_publish(
        exchange="",
        routing_key=properties.reply_to,
        body=str(answer).encode(),
        properties=pika.BasicProperties(correlation_id=properties.correlation_id),
    )
    channel.basic_ack(method.delivery_tag)


channel.basic_consume(queue, on_request)
consume_until_interrupted(channel)
