"""What aio-pika can do on this broker, one coroutine each."""

import asyncio
import contextlib
from importlib.metadata import version

import aio_pika
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.exceptions import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
    QueueEmpty,
)

from report import AMQP_URL, WAIT_SECONDS_MAX, check_death, equal, restart_broker, run_all, unique


@contextlib.asynccontextmanager
async def open_channel(*doomed, **options):
    """A channel on a connection of its own; the queues and exchanges named are deleted at the end."""
    async with await aio_pika.connect(AMQP_URL) as connection:
        try:
            yield await connection.channel(**options)
        finally:
            cleaner = await connection.channel()
            for name in doomed:
                # The broker is content when there is nothing of that name.
                await cleaner.queue_delete(name)
                await cleaner.exchange_delete(name)


async def publish(channel, queue, body, **properties):
    await channel.default_exchange.publish(Message(body, **properties), routing_key=queue)


async def next_message(queue):
    """Waits for a message and takes it."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (message := await queue.get(no_ack=True, fail=False)):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"no message in {queue.name} within {WAIT_SECONDS_MAX} s") from None
    return message


async def depth(channel, queue):
    """How many messages wait in a queue."""
    declared = await channel.declare_queue(queue.name, passive=True)
    return declared.declaration_result.message_count


async def declare():
    queue_name, other_name = unique("queue"), unique("other")
    names = {kind: unique(kind.value) for kind in list(ExchangeType)[:4]}
    async with open_channel(queue_name, other_name, *names.values()) as channel:
        queue = await channel.declare_queue(queue_name, durable=True)
        other = await channel.declare_queue(other_name, arguments={"x-max-length": 10})
        exchanges = {kind: await channel.declare_exchange(name, kind, durable=True) for kind, name in names.items()}
        direct, topic = exchanges[ExchangeType.DIRECT], exchanges[ExchangeType.TOPIC]
        headers, fanout = exchanges[ExchangeType.HEADERS], exchanges[ExchangeType.FANOUT]
        await queue.bind(direct, "red")
        await queue.bind(topic, "*.red.#")
        await queue.bind(headers, arguments={"x-match": "all", "colour": "red"})
        # An exchange bound to an exchange, and a queue behind that.
        await fanout.bind(direct, "red")
        await other.bind(fanout)

        await direct.publish(Message(b"direct"), "red")
        await topic.publish(Message(b"topic"), "a.red.b.c")
        await headers.publish(Message(b"headers", headers={"colour": "red"}), "")
        bodies = [(await next_message(queue)).body for _ in range(3)]
        equal("what was routed", bodies, [b"direct", b"topic", b"headers"])
        equal("what went through two exchanges", (await next_message(other)).body, b"direct")

        await queue.unbind(direct, "red")
        await direct.publish(Message(b"unbound"), "red")
        equal("what came by the other way", (await next_message(other)).body, b"unbound")
        equal("the depth after the binding went", await depth(channel, queue), 0)
        await publish(channel, queue_name, b"left")
        deleted = await queue.delete(if_unused=False, if_empty=False)
        equal("what a deleted queue held", deleted.message_count, 1)


async def publish_confirms():
    queue_name, full = unique("queue"), unique("full")
    async with open_channel(queue_name, full) as channel:
        queue = await channel.declare_queue(queue_name, durable=True)
        # Each publish ends when the broker has confirmed it; a hundred of them are under way at once.
        await asyncio.gather(
            *[publish(channel, queue_name, b"x", delivery_mode=DeliveryMode.PERSISTENT) for _ in range(100)]
        )
        equal("the depth", await depth(channel, queue), 100)
        await channel.declare_queue(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        await publish(channel, full, b"fits")
        try:
            await publish(channel, full, b"does not fit")
        except DeliveryError:
            return
        raise AssertionError("a message was confirmed that the full queue had refused")


async def consume_acks():
    name = unique("queue")
    async with open_channel(name) as channel:
        await channel.set_qos(prefetch_count=2)
        queue = await channel.declare_queue(name)
        for body in (b"one", b"two", b"three"):
            await publish(channel, name, body)
        arrived = asyncio.Queue()
        tag = await queue.consume(arrived.put)

        async def receive():
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                return await arrived.get()

        one, two = await receive(), await receive()
        equal("what came", [one.body, two.body], [b"one", b"two"])
        await asyncio.sleep(0.2)
        equal("what came above the prefetch", arrived.qsize(), 0)
        await one.ack()
        three = await receive()
        equal("what came after an ack", three.body, b"three")
        await two.nack(requeue=True)
        again = await receive()
        equal("what came after a nack", (again.body, again.redelivered, two.redelivered), (b"two", True, False))
        await three.reject(requeue=False)
        await again.ack()
        await queue.cancel(tag)
        equal("the depth at the end", await depth(channel, queue), 0)


async def get():
    name = unique("queue")
    async with open_channel(name) as channel:
        queue = await channel.declare_queue(name)
        try:
            await queue.get()
            raise AssertionError("an empty queue gave a message")
        except QueueEmpty:
            pass
        headers = {"n": 7, "list": ["a", True]}
        await publish(channel, name, b"first", content_type="text/plain", headers=headers, message_id="m1")
        await publish(channel, name, b"second")
        message = await next_message(queue)
        equal("the body", message.body, b"first")
        equal("the messages left", message.message_count, 1)
        equal("the properties", (message.content_type, message.message_id), ("text/plain", "m1"))
        equal("the headers", message.headers, headers)
        await (await queue.get()).nack(requeue=True)
        equal("the body that came back", (await next_message(queue)).body, b"second")


async def returns():
    nowhere = unique("nowhere")
    # A publish that is both confirmed and returned fails when asked to.
    async with open_channel(on_return_raises=True) as channel:
        try:
            await publish(channel, nowhere, b"come back", message_id="m1")
            raise AssertionError("a message without a queue was confirmed as if it had one")
        except PublishError as error:
            returned = error.message
        equal("the reply", (returned.delivery.reply_code, returned.delivery.reply_text), (312, "NO_ROUTE"))
        equal("its way", (returned.delivery.exchange, returned.delivery.routing_key), ("", nowhere))
        equal("the message", (returned.header.properties.message_id, returned.body), ("m1", b"come back"))


async def ttl_dead_letter():
    source_name, dead_name, exchange_name = unique("source"), unique("dead"), unique("exchange")
    async with open_channel(source_name, dead_name, exchange_name) as channel:
        exchange = await channel.declare_exchange(exchange_name, ExchangeType.DIRECT)
        dead = await channel.declare_queue(dead_name)
        await dead.bind(exchange, "died")
        dead_letters = {"x-dead-letter-exchange": exchange_name, "x-dead-letter-routing-key": "died"}
        source = await channel.declare_queue(source_name, arguments={"x-message-ttl": 200, **dead_letters})

        await publish(channel, source_name, b"expires by its queue")
        message = await next_message(dead)
        equal("the dead letter", (message.body, message.routing_key), (b"expires by its queue", "died"))
        [death] = message.headers["x-death"]
        check_death(death, source_name, "expired", source_name)
        equal("the first death", message.headers["x-first-death-reason"], "expired")

        # In seconds, as all times of this library.
        await publish(channel, source_name, b"expires by itself", expiration=0.05)
        message = await next_message(dead)
        equal("the dead letter", (message.body, message.expiration), (b"expires by itself", None))
        equal("its expiration before", message.headers["x-death"][0]["original-expiration"], "50")

        await publish(channel, source_name, b"rejected")
        await (await source.get()).reject(requeue=False)
        message = await next_message(dead)
        equal("the dead letter", message.body, b"rejected")
        check_death(message.headers["x-death"][0], source_name, "rejected", source_name)


async def priorities():
    name = unique("queue")
    async with open_channel(name) as channel:
        queue = await channel.declare_queue(name, arguments={"x-max-priority": 5})
        for priority in (None, 1, 5, 3, 9, 1):
            await publish(channel, name, str(priority).encode(), priority=priority)
        order = [(await next_message(queue)).body for _ in range(6)]
        # Above the queue's highest is the highest; without one it is the lowest.
        equal("the order", order, [b"5", b"9", b"3", b"1", b"1", b"None"])


async def rpc():
    questions_name = unique("questions")
    # Answers are for the channel that has asked, and they cannot be had with an ack.
    async with open_channel(questions_name) as server, open_channel() as client:
        questions = await server.declare_queue(questions_name)
        answers = asyncio.Queue()
        pseudo_queue = await client.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await pseudo_queue.consume(answers.put, no_ack=True)
        await publish(client, questions_name, b"6 * 7", reply_to="amq.rabbitmq.reply-to", correlation_id="q1")
        question = await next_message(questions)
        equal("the question", question.body, b"6 * 7")
        if not question.reply_to.startswith("amq.rabbitmq.reply-to."):
            raise AssertionError(f"no address is put in place of the pseudo queue: {question.reply_to}")
        await publish(server, question.reply_to, b"42", correlation_id=question.correlation_id)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            answer = await answers.get()
        equal("the answer", (answer.correlation_id, answer.body), ("q1", b"42"))


async def topology_errors():
    name = unique("queue")
    async with await aio_pika.connect(AMQP_URL) as connection:

        async def refusal(error, provoke):
            """What the broker says when it closes the channel."""
            channel = await connection.channel()
            try:
                await provoke(channel)
            except error as refused:
                return str(refused)
            raise AssertionError("the broker let it pass")

        channel = await connection.channel()
        queue = await channel.declare_queue(name)
        missing = unique("missing")
        # These two exceptions stand for the codes 404 and 406.
        text = await refusal(ChannelNotFoundEntity, lambda victim: victim.declare_queue(missing, passive=True))
        equal("a queue that is not there", text, f"NOT_FOUND - no queue '{missing}' in vhost '/'")
        text = await refusal(ChannelNotFoundEntity, lambda victim: victim.get_exchange(missing))
        equal("an exchange that is not there", text, f"NOT_FOUND - no exchange '{missing}' in vhost '/'")
        otherwise = {"x-max-length": 1}
        text = await refusal(
            ChannelPreconditionFailed, lambda victim: victim.declare_queue(name, arguments=otherwise)
        )
        equal("a queue declared otherwise", text.split(" - ")[0], "PRECONDITION_FAILED")
        # Only those channels are gone.
        equal("the depth", await depth(channel, queue), 0)
        await queue.delete()


async def recovery():
    """A robust connection comes back by itself, with its channels, queues, bindings and consumers."""
    name, exchange_name = unique("queue"), unique("exchange")
    arrived = asyncio.Queue()
    async with await aio_pika.connect_robust(AMQP_URL, reconnect_interval=0.2) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(exchange_name, durable=True)
        queue = await channel.declare_queue(name, durable=True)
        await queue.bind(exchange, "key")
        # This one does not outlive the broker: the client makes it anew.
        transient = await channel.declare_queue(unique("transient"), exclusive=True)
        await transient.bind(exchange, "key")
        await queue.consume(arrived.put, no_ack=True)
        await transient.consume(arrived.put, no_ack=True)
        reconnected = asyncio.Event()
        connection.reconnect_callbacks.add(lambda *_: reconnected.set())

        await asyncio.to_thread(restart_broker)
        async with asyncio.timeout(60):
            await reconnected.wait()
            await exchange.publish(Message(b"after", delivery_mode=DeliveryMode.PERSISTENT), "key")
            queues = [(await arrived.get()).consumer_tag for _ in range(2)]
        equal("the consumers that got it", len(set(queues)), 2)
        await queue.delete(if_unused=False, if_empty=False)
        await channel.exchange_delete(exchange_name)


def blocking(work):
    """A coroutine as a function."""
    return lambda: asyncio.run(work())


if __name__ == "__main__":
    run_all(
        "aio-pika",
        version("aio-pika"),
        {
            "declare": blocking(declare),
            "publish-confirms": blocking(publish_confirms),
            "consume-acks": blocking(consume_acks),
            "get": blocking(get),
            "returns": blocking(returns),
            "ttl-dead-letter": blocking(ttl_dead_letter),
            "priorities": blocking(priorities),
            "rpc": blocking(rpc),
            "topology-errors": blocking(topology_errors),
            "recovery": blocking(recovery),
        },
    )
