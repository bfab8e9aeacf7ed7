"""What every program of this folder needs: a connection, and where its queues are called what."""

import os
import sys

import pika


def parameters():
    """The broker named by the first argument if that is an amqp:// URL, else localhost:5672.

    The URL is taken off sys.argv, so that what is left are the program's own arguments.
    """
    if len(sys.argv) > 1 and sys.argv[1].startswith("amqp://"):
        return pika.URLParameters(sys.argv.pop(1))
    return pika.ConnectionParameters()


def name(plain):
    """The name of a queue or an exchange. TUTORIAL_PREFIX keeps two runs on one broker apart."""
    return os.environ.get("TUTORIAL_PREFIX", "") + plain


def consume_until_interrupted(channel):
    """Serves the consumers of a channel until CTRL+C, then leaves politely."""
    print("waiting for messages; CTRL+C ends", flush=True)
    try:
        channel.start_consuming()
    except KeyboardInterrupt:
        channel.stop_consuming()
    channel.connection.close()
    print("closed", flush=True)
