"""AsyncioConnection: pika on an asyncio loop.

pika speaks in callbacks. A future for each turns them into `await`, so that a test reads like
straight code: `answer()` is that bridge, and all that an application needs of its own.
"""

import asyncio

import pika
import pytest
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ConnectionClosedByClient,
    ProbableAuthenticationError,
)

SECONDS_MAX = 90


class Client:
    """One AsyncioConnection whose end can be awaited."""

    def __init__(self, parameters):
        self.opened = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self.connection = AsyncioConnection(
            parameters,
            on_open_callback=self.opened.set_result,
            on_open_error_callback=lambda _connection, error: self.opened.set_exception(error),
            on_close_callback=lambda _connection, reason: self.closed.set_result(reason),
        )

    async def __aenter__(self):
        await self.opened
        return self

    async def __aexit__(self, *_error):
        if self.connection.is_open:
            self.connection.close()
            await self.closed

    async def channel(self):
        opened = asyncio.get_running_loop().create_future()
        self.connection.channel(on_open_callback=opened.set_result)
        return await opened


async def answer(channel, method, *arguments, **options):
    """Calls a method of the channel and waits for the broker's answer, or for a channel error."""
    future = asyncio.get_running_loop().create_future()

    def on_close(_channel, reason):
        if not future.done():
            future.set_exception(reason)

    channel.add_on_close_callback(on_close)
    getattr(channel, method)(*arguments, callback=future.set_result, **options)
    return (await future).method


async def next_event(events):
    return await asyncio.wait_for(events.get(), SECONDS_MAX)


@pytest.fixture
def run(broker):
    """Runs `scenario(client)` on a loop of its own, with a time limit."""

    async def with_client(scenario):
        async with Client(broker.parameters()) as client:
            await scenario(client)

    return lambda scenario: asyncio.run(asyncio.wait_for(with_client(scenario), SECONDS_MAX))


def test_hello_world(run, unique):
    queue = unique("hello")

    async def scenario(client):
        channel = await client.channel()
        declared = await answer(channel, "queue_declare", queue)
        assert (declared.queue, declared.message_count) == (queue, 0)
        channel.basic_publish("", queue, b"Hello World!")
        message = asyncio.get_running_loop().create_future()
        channel.basic_get(queue, lambda *parts: message.set_result(parts), auto_ack=True)
        _channel, method, _properties, body = await message
        assert (method.routing_key, body) == (queue, b"Hello World!")

    run(scenario)


def test_publish_with_confirms(run, unique):
    queue = unique("confirmed")
    count = 300

    async def scenario(client):
        channel = await client.channel()
        await answer(channel, "queue_declare", queue, durable=True)
        confirms = asyncio.Queue()
        await answer(channel, "confirm_delivery", confirms.put_nowait)
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for number in range(count):
            channel.basic_publish("", queue, b"%d" % number, persistent)
        unconfirmed = set(range(1, count + 1))
        while unconfirmed:
            confirm = (await next_event(confirms)).method
            assert isinstance(confirm, pika.spec.Basic.Ack)
            first = 1 if confirm.multiple else confirm.delivery_tag
            unconfirmed.difference_update(range(first, confirm.delivery_tag + 1))
        assert (await answer(channel, "queue_declare", queue, passive=True)).message_count == count

    run(scenario)


def test_consume_and_acknowledge(run, unique):
    queue = unique("work")

    async def scenario(client):
        channel = await client.channel()
        await answer(channel, "queue_declare", queue)
        await answer(channel, "basic_qos", prefetch_count=2)
        messages = asyncio.Queue()
        await answer(
            channel,
            "basic_consume",
            queue,
            lambda _channel, method, _properties, body: messages.put_nowait((method, body)),
            consumer_tag="my-consumer",
        )
        for number in range(10):
            channel.basic_publish("", queue, b"%d" % number)
        for number in range(10):
            method, body = await next_event(messages)
            assert (method.consumer_tag, int(body)) == ("my-consumer", number)
            channel.basic_ack(method.delivery_tag)
        cancelled = await answer(channel, "basic_cancel", "my-consumer")
        assert cancelled.consumer_tag == "my-consumer"
        assert (await answer(channel, "queue_delete", queue)).message_count == 0

    run(scenario)


def test_return_comes_before_the_confirm(run, unique):
    nowhere = unique("nowhere")

    async def scenario(client):
        channel = await client.channel()
        events = asyncio.Queue()
        channel.add_on_return_callback(
            lambda _channel, method, properties, body: events.put_nowait((method, properties, body))
        )
        await answer(channel, "confirm_delivery", events.put_nowait)
        properties = pika.BasicProperties(message_id="m-1", headers={"try": 1})
        channel.basic_publish("", nowhere, b"lost", properties, mandatory=True)
        returned, returned_properties, body = await next_event(events)
        assert (returned.reply_code, returned.reply_text) == (312, "NO_ROUTE")
        assert (returned_properties, body) == (properties, b"lost")
        assert (await next_event(events)).method.delivery_tag == 1

    run(scenario)


def test_channel_error_and_a_new_channel(run, unique):
    missing = unique("missing")

    async def scenario(client):
        channel = await client.channel()
        with pytest.raises(ChannelClosedByBroker) as closed:
            await answer(channel, "queue_purge", missing)
        assert closed.value.reply_code == 404
        assert closed.value.reply_text == f"NOT_FOUND - no queue '{missing}' in vhost '/'"
        again = await client.channel()
        assert (await answer(again, "queue_declare", missing)).queue == missing

    run(scenario)


def test_connection_closed_by_the_broker(run):
    async def scenario(client):
        channel = await client.channel()
        with pytest.raises(ConnectionClosedByBroker):
            await answer(channel, "basic_qos", prefetch_size=1)
        reason = await client.closed
        assert (reason.reply_code, reason.reply_text) == (
            540,
            "NOT_IMPLEMENTED - prefetch_size!=0 (1)",
        )

    run(scenario)


def test_connection_closed_by_the_client(run):
    async def scenario(client):
        await client.channel()
        client.connection.close(320, "gone fishing")
        reason = await client.closed
        assert isinstance(reason, ConnectionClosedByClient)
        assert (reason.reply_code, reason.reply_text) == (320, "gone fishing")

    run(scenario)


def test_cancel_by_the_broker(run, unique):
    queue = unique("doomed")

    async def scenario(client):
        channel, other = await client.channel(), await client.channel()
        await answer(channel, "queue_declare", queue)
        cancels = asyncio.Queue()
        channel.add_on_cancel_callback(cancels.put_nowait)
        consuming = await answer(channel, "basic_consume", queue, lambda *_message: None)
        await answer(other, "queue_delete", queue)
        cancelled = (await next_event(cancels)).method
        assert cancelled.consumer_tag == consuming.consumer_tag
        assert channel.is_open and channel.consumer_tags == []

    run(scenario)


def test_wrong_password(broker):
    credentials = pika.PlainCredentials("guest", "not the password")

    async def scenario():
        with pytest.raises(ProbableAuthenticationError, match="403.*ACCESS_REFUSED"):
            async with Client(broker.parameters(credentials=credentials)):
                pass

    asyncio.run(asyncio.wait_for(scenario(), SECONDS_MAX))
