// The capabilities in amqplib's promise style. Each is given a connection and throws when something is not as it should
// be.

'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const { promisify } = require('node:util');
const amqplib = require('amqplib');
const { deadLetter, unique } = require('./names');

const ARRIVAL_MS_MAX = 30_000;

module.exports = {
  async declare(connection) {
    const channel = await quietChannel(connection);
    const exchange = unique('exchange');
    const queue = unique('queue');
    await channel.assertExchange(exchange, 'topic', { durable: true });
    // Arguments of AMQP have options of their own in amqplib: this one is x-max-length.
    const declared = await channel.assertQueue(queue, { durable: true, maxLength: 10 });
    assert.deepEqual(declared, { queue, messageCount: 0, consumerCount: 0 });
    // The same once more is no error.
    await channel.assertQueue(queue, { durable: true, maxLength: 10 });
    await channel.checkExchange(exchange);

    await channel.bindQueue(queue, exchange, 'hare.*');
    channel.publish(exchange, 'hare.brown', Buffer.from('bound'));
    channel.publish(exchange, 'rabbit.brown', Buffer.from('not bound'));
    await channel.unbindQueue(queue, exchange, 'hare.*');
    channel.publish(exchange, 'hare.white', Buffer.from('no longer bound'));
    // One of the three has arrived.
    assert.equal((await channel.purgeQueue(queue)).messageCount, 1);

    // A queue without a name gets one from the broker.
    const temporary = await channel.assertQueue('', { exclusive: true });
    assert.match(temporary.queue, /^amq\.gen-/);

    assert.equal((await channel.deleteQueue(queue)).messageCount, 0);
    await channel.deleteExchange(exchange);
    await assert.rejects(channel.checkExchange(exchange), { code: 404 });
  },

  async 'publish-confirms'(connection) {
    const channel = await connection.createConfirmChannel();
    const { queue } = await channel.assertQueue(unique('confirms'), { durable: true });
    let confirmed = 0;
    for (let i = 0; i < 100; i += 1) {
      channel.sendToQueue(queue, Buffer.from(`message ${i}`), { persistent: true }, (refusal) => {
        assert.equal(refusal, null);
        confirmed += 1;
      });
    }
    await channel.waitForConfirms();
    assert.equal(confirmed, 100);
    assert.equal((await channel.deleteQueue(queue)).messageCount, 100);
  },

  async 'consume-acks'(connection) {
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue(unique('acks'), { durable: true });
    for (const text of ['one', 'two', 'three']) {
      channel.sendToQueue(queue, Buffer.from(text), {
        contentType: 'text/plain',
        correlationId: 'c-1',
        headers: { colour: 'brown', legs: 4, nested: { deep: [1, 'two', true] } },
      });
    }

    await channel.prefetch(1);
    const inbox = await consumer(channel, queue);
    const first = await inbox.next();
    assert.equal(first.content.toString(), 'one');
    assert.equal(first.fields.redelivered, false);
    assert.equal(first.properties.contentType, 'text/plain');
    assert.equal(first.properties.correlationId, 'c-1');
    assert.deepEqual(first.properties.headers, { colour: 'brown', legs: 4, nested: { deep: [1, 'two', true] } });
    // With a prefetch of one nothing else comes before an acknowledgement: two messages are still ready.
    assert.equal((await channel.checkQueue(queue)).messageCount, 2);
    assert.equal(inbox.waiting(), 0);

    channel.nack(first, false, true);
    const again = await inbox.next();
    assert.equal(again.content.toString(), 'one');
    assert.equal(again.fields.redelivered, true);
    channel.ack(again);
    const second = await inbox.next();
    assert.equal(second.content.toString(), 'two');
    channel.reject(second, false);
    const third = await inbox.next();
    assert.equal(third.content.toString(), 'three');
    channel.ack(third);

    await channel.cancel(inbox.tag);
    assert.deepEqual(await channel.checkQueue(queue), { queue, messageCount: 0, consumerCount: 0 });
  },

  async get(connection) {
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue(unique('get'));
    assert.equal(await channel.get(queue), false);
    channel.sendToQueue(queue, Buffer.from('one'));
    channel.sendToQueue(queue, Buffer.from('two'));

    const first = await channel.get(queue);
    assert.equal(first.content.toString(), 'one');
    assert.equal(first.fields.messageCount, 1);
    assert.equal(first.fields.routingKey, queue);
    channel.ack(first);
    const second = await channel.get(queue, { noAck: true });
    assert.equal(second.content.toString(), 'two');
    assert.equal(second.fields.messageCount, 0);
    assert.equal(await channel.get(queue), false);
  },

  async returns(connection) {
    const channel = await connection.createConfirmChannel();
    const events = [];
    channel.on('return', (message) => events.push(message));
    const nowhere = unique('nowhere');
    const options = { mandatory: true, messageId: 'm-1' };
    channel.publish('', nowhere, Buffer.from('lost'), options, () => events.push('confirm'));
    await channel.waitForConfirms();

    const [returned, confirm] = events;
    assert.equal(returned.fields.replyCode, 312);
    assert.equal(returned.fields.replyText, 'NO_ROUTE');
    assert.equal(returned.fields.exchange, '');
    assert.equal(returned.fields.routingKey, nowhere);
    assert.equal(returned.properties.messageId, 'm-1');
    assert.equal(returned.content.toString(), 'lost');
    // A message that cannot be routed is confirmed too, after its return.
    assert.equal(confirm, 'confirm');
  },

  // A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
  async 'ttl-dead-letter'(connection) {
    const channel = await connection.createChannel();
    const wait = unique('wait');
    const work = unique('work');
    await channel.assertQueue(wait, { messageTtl: 100, deadLetterExchange: '', deadLetterRoutingKey: work });
    await channel.assertQueue(work, { deadLetterExchange: '', deadLetterRoutingKey: wait });
    const inbox = await consumer(channel, work);
    channel.sendToQueue(wait, Buffer.from('try me'), { expiration: '50', headers: { attempt: 'first' } });

    const expired = await inbox.next();
    assert.equal(expired.content.toString(), 'try me');
    assert.equal(expired.fields.exchange, '');
    assert.equal(expired.fields.routingKey, work);
    assert.equal(expired.properties.expiration, undefined);
    const { headers } = expired.properties;
    assert.equal(headers.attempt, 'first');
    assert.equal(headers['x-first-death-queue'], wait);
    assert.equal(headers['x-first-death-reason'], 'expired');
    assert.equal(headers['x-first-death-exchange'], '');
    assert.equal(headers['x-death'].length, 1);
    deadLetter(headers['x-death'][0], { queue: wait, reason: 'expired', count: 1, 'original-expiration': '50' });

    channel.reject(expired, false);
    const retried = await inbox.next();
    const deaths = retried.properties.headers['x-death'];
    assert.equal(deaths.length, 2);
    // The latest death is the first in the list.
    deadLetter(deaths[0], { queue: wait, reason: 'expired', count: 2 });
    deadLetter(deaths[1], { queue: work, reason: 'rejected', count: 1 });
    assert.equal(retried.properties.headers['x-first-death-queue'], wait);
    channel.ack(retried);
  },

  async priorities(connection) {
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue(unique('priorities'), { maxPriority: 5 });
    for (const priority of [1, undefined, 5, 3, 9]) {
      channel.sendToQueue(queue, Buffer.from(`${priority}`), { priority });
    }
    const order = [];
    const next = () => channel.get(queue, { noAck: true });
    for (let message = await next(); message; message = await next()) {
      assert.equal(`${message.properties.priority}`, message.content.toString());
      order.push(message.content.toString());
    }
    // What is above the queue's highest priority counts as the highest, no priority as the lowest.
    assert.deepEqual(order, ['5', '9', '3', '1', 'undefined']);
  },

  // Direct reply-to: the answer comes without a queue of the client's own.
  async rpc(connection) {
    const server = await connection.createChannel();
    const { queue } = await server.assertQueue(unique('rpc'), { exclusive: true });
    await server.consume(queue, (request) => {
      const { replyTo, correlationId } = request.properties;
      const answer = `${request.content} ${replyTo.startsWith('amq.rabbitmq.reply-to.')}`;
      server.sendToQueue(replyTo, Buffer.from(answer), { correlationId });
      server.ack(request);
    });

    const client = await connection.createChannel();
    const inbox = await consumer(client, 'amq.rabbitmq.reply-to', { noAck: true });
    for (const correlationId of ['r-1', 'r-2']) {
      client.sendToQueue(queue, Buffer.from('ping'), { correlationId, replyTo: 'amq.rabbitmq.reply-to' });
      const answer = await inbox.next();
      assert.equal(answer.content.toString(), 'ping true');
      assert.equal(answer.properties.correlationId, correlationId);
    }
  },

  async 'topology-errors'(connection) {
    const missing = unique('missing');
    let channel = await quietChannel(connection);
    await assert.rejects(channel.checkQueue(missing), (error) => {
      assert.equal(error.code, 404);
      assert.match(error.message, new RegExp(`NOT_FOUND - no queue '${missing}' in vhost '/'`));
      return true;
    });

    channel = await quietChannel(connection);
    const { queue } = await channel.assertQueue(unique('durable'), { durable: true });
    await assert.rejects(channel.assertQueue(queue, { durable: true, maxLength: 5 }), (error) => {
      assert.equal(error.code, 406);
      assert.match(error.message, /PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue/);
      return true;
    });

    // A publish has no answer of its own: its error comes as an event of the channel.
    channel = await quietChannel(connection);
    channel.publish(missing, 'key', Buffer.from('nowhere to go'));
    const error = await new Promise((resolve) => channel.once('error', resolve));
    assert.equal(error.code, 404);
    assert.match(error.message, new RegExp(`NOT_FOUND - no exchange '${missing}' in vhost '/'`));

    // The connection is still in order.
    channel = await connection.createChannel();
    assert.equal((await channel.checkQueue(queue)).messageCount, 0);
  },

  // With amqplib's recovery the setup is run after each (re)connection.
  async recovery(plainConnection) {
    const admin = await plainConnection.createChannel();
    const queue = unique('recovery');
    const kept = unique('kept');
    await admin.assertQueue(queue, { durable: true });
    await admin.assertQueue(kept, { durable: true });

    const inbox = mailbox();
    const setup = async (connection) => {
      const channel = await connection.createChannel();
      await channel.consume(queue, (message) => message && inbox.put(message), { noAck: true });
    };
    const recovering = await amqplib.connect(process.env.AMQP_URL, { recovery: { maxDelay: 500, setup } });
    recovering.on('error', () => {});
    try {
      const before = await recovering.createConfirmChannel();
      before.on('error', () => {});
      before.sendToQueue(queue, Buffer.from('before'), { persistent: true });
      before.sendToQueue(kept, Buffer.from('kept'), { persistent: true });
      await before.waitForConfirms();
      assert.equal((await inbox.next()).content.toString(), 'before');

      const connected = once(recovering, 'connect');
      await promisify(execFile)(process.env.BROKER_RESTART);
      await connected;

      const after = await recovering.createConfirmChannel();
      after.sendToQueue(queue, Buffer.from('after'), { persistent: true });
      await after.waitForConfirms();
      assert.equal((await inbox.next()).content.toString(), 'after');
      assert.equal((await after.get(kept, { noAck: true })).content.toString(), 'kept');
    } finally {
      await recovering.close();
    }
  },
};

// A channel whose errors are looked at where they are expected; without a listener one would end the process.
async function quietChannel(connection) {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  return channel;
}

// Messages in the order of their arrival, to be awaited one by one.
async function consumer(channel, queue, options) {
  const inbox = mailbox();
  const { consumerTag } = await channel.consume(queue, inbox.put, options);
  return { ...inbox, tag: consumerTag };
}

function mailbox() {
  const messages = [];
  const arrivals = new EventEmitter();
  return {
    put(message) {
      messages.push(message);
      arrivals.emit('message');
    },
    async next() {
      if (messages.length === 0) {
        await once(arrivals, 'message', { signal: AbortSignal.timeout(ARRIVAL_MS_MAX) }).catch(() => {
          throw new Error('no message arrives');
        });
      }
      return messages.shift();
    },
    waiting: () => messages.length,
  };
}
