// Runs every capability with amqplib and prints one line for each.
//
// promises.js is where to read how things are done; callbacks.js does the first three in the callback style.

'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const amqplib = require('amqplib');
const callbacks = require('./callbacks');
const { given } = require('./names');
const promises = require('./promises');

const CAPABILITY_SECONDS_MAX = 90;
// The broker's own stop and start come on top.
const RECOVERY_SECONDS_MAX = 300;

const CAPABILITIES = [
  'declare',
  'publish-confirms',
  'consume-acks',
  'get',
  'returns',
  'ttl-dead-letter',
  'priorities',
  'rpc',
  'topology-errors',
  'recovery',
];

async function main() {
  const library = path.dirname(require.resolve('amqplib'));
  const { version } = JSON.parse(readFileSync(path.join(library, 'package.json'), 'utf8'));
  console.log(`client amqplib ${version}`);

  let failed = false;
  for (const capability of CAPABILITIES) {
    try {
      await inTime(capability, proof(promises, capability));
      if (callbacks[capability]) {
        await inTime(`${capability} with callbacks`, callbacks[capability]());
      }
      console.log(`ok ${capability}`);
    } catch (error) {
      failed = true;
      console.error(error);
      console.log(`not ok ${capability}: ${String(error.message).replace(/\s+/g, ' ')}`);
    }
  }
  await inTime('cleaning up', cleanUp());
  process.exit(failed ? 1 : 0);
}

// To delete what does not exist is no error.
async function cleanUp() {
  const connection = await amqplib.connect(process.env.AMQP_URL);
  const channel = await connection.createChannel();
  for (const name of given) {
    await channel.deleteQueue(name);
    await channel.deleteExchange(name);
  }
  await connection.close();
}

// Each capability has a connection of its own, so that one that breaks it does no harm to the next.
async function proof(api, capability) {
  const connection = await amqplib.connect(process.env.AMQP_URL);
  // An error of the connection also fails the call that is under way; without a listener it would end the process.
  connection.on('error', () => {});
  try {
    await api[capability](connection);
  } finally {
    await connection.close().catch(() => {});
  }
}

function inTime(what, work) {
  const seconds = what === 'recovery' ? RECOVERY_SECONDS_MAX : CAPABILITY_SECONDS_MAX;
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} is not over after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

main();
