// Three of the capabilities in amqplib's callback style: each step is begun in the callback of the one before.

'use strict';

const assert = require('node:assert/strict');
const amqplib = require('amqplib/callback_api');
const { unique } = require('./names');

module.exports = {
  declare: () =>
    onConnection((connection, done) => {
      const exchange = unique('exchange');
      const queue = unique('queue');
      connection.createChannel((error, channel) => {
        if (error) return done(error);
        channel.assertExchange(exchange, 'fanout', { durable: true });
        channel.assertQueue(queue, { durable: true }, (error, declared) => {
          if (error) return done(error);
          assert.deepEqual(declared, { queue, messageCount: 0, consumerCount: 0 });
        });
        // Calls that have an answer are sent one after the other. A publish has none and would overtake them here.
        channel.bindQueue(queue, exchange, '', {}, (error) => {
          if (error) return done(error);
          channel.publish(exchange, '', Buffer.from('bound'));
          channel.deleteExchange(exchange);
          channel.deleteQueue(queue, {}, (error, deleted) => {
            if (error) return done(error);
            assert.equal(deleted.messageCount, 1);
            done();
          });
        });
      });
    }),

  'publish-confirms': () =>
    onConnection((connection, done) => {
      const queue = unique('confirms');
      connection.createConfirmChannel((error, channel) => {
        if (error) return done(error);
        let confirmed = 0;
        channel.assertQueue(queue, { durable: true });
        for (let i = 0; i < 100; i += 1) {
          channel.sendToQueue(queue, Buffer.from(`message ${i}`), { persistent: true }, (refusal) => {
            assert.equal(refusal, null);
            confirmed += 1;
          });
        }
        channel.waitForConfirms((error) => {
          if (error) return done(error);
          assert.equal(confirmed, 100);
          channel.deleteQueue(queue, {}, (error, deleted) => {
            if (error) return done(error);
            assert.equal(deleted.messageCount, 100);
            done();
          });
        });
      });
    }),

  'consume-acks': () =>
    onConnection((connection, done) => {
      const queue = unique('acks');
      connection.createChannel((error, channel) => {
        if (error) return done(error);
        const seen = [];
        channel.assertQueue(queue, { durable: true });
        channel.prefetch(1);
        channel.sendToQueue(queue, Buffer.from('one'));
        channel.sendToQueue(queue, Buffer.from('two'));
        channel.consume(queue, (message) => {
          // The broker cancels the consumer of a deleted queue; amqplib tells with null.
          if (message === null) return;
          seen.push([message.content.toString(), message.fields.redelivered]);
          if (seen.length === 1) {
            channel.nack(message, false, true);
            return;
          }
          channel.ack(message);
          if (seen.length === 3) {
            assert.deepEqual(seen, [['one', false], ['one', true], ['two', false]]);
            channel.deleteQueue(queue, {}, (error, deleted) => {
              if (error) return done(error);
              assert.equal(deleted.messageCount, 0);
              done();
            });
          }
        });
      });
    }),
};

// Gives the work a connection and closes it when the work is done: by then an error would have shown itself.
function onConnection(work) {
  return new Promise((resolve, reject) => {
    amqplib.connect(process.env.AMQP_URL, (error, connection) => {
      if (error) return reject(error);
      connection.on('error', reject);
      connection.on('handler-error', reject);
      work(connection, (error) => connection.close(() => (error ? reject(error) : resolve())));
    });
  });
}
