// What both styles need: names that nobody else uses, and what the broker notes of a message's death.

'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');

const CLOCK_SKEW_SECONDS_MAX = 60;

// Every name that was given out, so that the program can delete what was declared under it.
const given = [];

function unique(what) {
  const name = `interop-amqplib-${what}-${randomUUID()}`;
  given.push(name);
  return name;
}

// Every queue here is published to through the default exchange, under its own name.
function deadLetter(death, expected) {
  const { time, ...fields } = death;
  if (expected['original-expiration'] === undefined) {
    delete fields['original-expiration'];
  }
  assert.deepEqual(fields, { exchange: '', 'routing-keys': [expected.queue], ...expected });
  assert.equal(time['!'], 'timestamp');
  assert.ok(Math.abs(Date.now() / 1000 - time.value) < CLOCK_SKEW_SECONDS_MAX, `died at ${time.value}`);
}

module.exports = { deadLetter, given, unique };
