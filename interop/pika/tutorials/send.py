"""Tutorial 1, hello world: puts one message into a queue.    python send.py [url]"""

import pika

from common import name, parameters

connection = pika.BlockingConnection(parameters())
channel = connection.channel()

# Declaring a queue that exists already changes nothing, so both programs can do it and it does
# not matter which of them is started first.
queue = name("hello")
channel.queue_declare(queue)

# A message always goes to an exchange. The nameless one hands it to the queue whose name is the
# routing key.
channel.basic_publish(exchange="", routing_key=queue, body=b"Hello World!")
print("sent 'Hello World!'")

# Closing makes sure that what was written has left this machine.
connection.close()
