"""The words in which the tests of routing are written."""

from pika import BasicProperties
from pika.exceptions import UnroutableError

from helpers import drain


class Router:
    """Declares exchanges and queues by short labels, and tells who got a message."""

    def __init__(self, channel, unique):
        self.channel, self.unique = channel, unique
        self.queues = {}
        channel.confirm_delivery()

    def exchange(self, kind, **options):
        name = self.unique(f"{kind}-exchange")
        self.channel.exchange_declare(name, kind, **options)
        return name

    def bind(self, label, exchange, key="", arguments=None):
        """Binds the queue of this label (it is made when it is first heard of)."""
        if label not in self.queues:
            self.queues[label] = self.unique(label)
            self.channel.queue_declare(self.queues[label])
        self.channel.queue_bind(self.queues[label], exchange, key, arguments)

    def unbind(self, label, exchange, key="", arguments=None):
        self.channel.queue_unbind(self.queues[label], exchange, key, arguments)

    def publish(self, exchange, key="", headers=None):
        """Publishes a message; gives the labels of the queues that got it, one for each copy."""
        try:
            properties = BasicProperties(headers=headers)
            self.channel.basic_publish(exchange, key, b"x", properties, mandatory=True)
        except UnroutableError:
            assert self._copies() == []
            return []
        return self._copies()

    def _copies(self):
        return sorted(
            label for label, queue in self.queues.items() for _ in drain(self.channel, queue)
        )
