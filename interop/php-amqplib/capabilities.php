<?php
// Each is given a connection and throws when something is not as it should be.

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPIOException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

// How long the program waits between two attempts to connect again.
const RETRY_INTERVAL_US = 200_000;

function declareTopology(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $exchange = unique('exchange');
    $queue = unique('queue');
    $channel->exchange_declare($exchange, 'topic', durable: true, auto_delete: false);
    $arguments = new AMQPTable(['x-max-length' => 10]);
    // The same twice is no error.
    for ($i = 0; $i < 2; $i++) {
        $declared = $channel->queue_declare($queue, durable: true, auto_delete: false, arguments: $arguments);
        equal('declare-ok', [$queue, 0, 0], $declared);
    }

    $channel->queue_bind($queue, $exchange, 'hare.*');
    $channel->basic_publish(new AMQPMessage('bound'), $exchange, 'hare.brown');
    $channel->basic_publish(new AMQPMessage('not bound'), $exchange, 'rabbit.brown');
    $channel->queue_unbind($queue, $exchange, 'hare.*');
    $channel->basic_publish(new AMQPMessage('no longer bound'), $exchange, 'hare.white');
    // One of the three has arrived.
    equal('purged', 1, $channel->queue_purge($queue));

    // A queue without a name gets one from the broker.
    [$temporary] = $channel->queue_declare('', exclusive: true);
    equal('the beginning of the name', 'amq.gen-', substr($temporary, 0, 8));
    $channel->exchange_delete($exchange);
    refused(404, "NOT_FOUND - no exchange '$exchange' in vhost '/'", function () use ($channel, $exchange) {
        $channel->exchange_declare($exchange, 'topic', passive: true);
    });
}

function publishConfirms(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $queue = durableQueue($channel, 'confirms');
    $confirmed = 0;
    $channel->set_ack_handler(function () use (&$confirmed) {
        $confirmed++;
    });
    $channel->confirm_select();
    for ($i = 0; $i < 100; $i++) {
        $channel->basic_publish(persistent("message $i"), '', $queue);
    }
    $channel->wait_for_pending_acks(ARRIVAL_SECONDS_MAX);
    equal('confirmed', 100, $confirmed);
    equal('messages', 100, ready($channel, $queue));
}

function consumeAcks(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $queue = durableQueue($channel, 'acks');
    $headers = ['colour' => 'brown', 'legs' => 4, 'nested' => ['deep' => [1, 'two', true]]];
    foreach (['one', 'two', 'three'] as $text) {
        $channel->basic_publish(new AMQPMessage($text, [
            'content_type' => 'text/plain',
            'correlation_id' => 'c-1',
            'application_headers' => new AMQPTable($headers),
        ]), '', $queue);
    }

    $channel->basic_qos(0, 1, false);
    $inbox = new Inbox($channel, $queue);
    $one = $inbox->next();
    equal('body', 'one', $one->getBody());
    equal('redelivered', false, $one->isRedelivered());
    equal('content type', 'text/plain', $one->get('content_type'));
    equal('correlation id', 'c-1', $one->get('correlation_id'));
    equal('headers', $headers, headers($one));
    // With a prefetch of one nothing else comes before an acknowledgement.
    equal('messages in the queue', 2, ready($channel, $queue));
    equal('waiting here', 0, $inbox->waiting());

    $one->nack(requeue: true);
    $again = $inbox->next();
    equal('body', 'one', $again->getBody());
    equal('redelivered', true, $again->isRedelivered());
    $again->ack();
    $two = $inbox->next();
    equal('body', 'two', $two->getBody());
    $two->reject(requeue: false);
    $three = $inbox->next();
    equal('body', 'three', $three->getBody());
    $three->ack();

    $channel->basic_cancel($inbox->tag);
    equal('the queue', [$queue, 0, 0], $channel->queue_declare($queue, passive: true));
}

function get(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $queue = durableQueue($channel, 'get');
    equal('nothing', null, $channel->basic_get($queue));
    $channel->basic_publish(new AMQPMessage('one'), '', $queue);
    $channel->basic_publish(new AMQPMessage('two'), '', $queue);

    $one = $channel->basic_get($queue);
    equal('body', 'one', $one->getBody());
    equal('message count', 1, $one->getMessageCount());
    equal('routing key', $queue, $one->getRoutingKey());
    $one->ack();
    $two = $channel->basic_get($queue, no_ack: true);
    equal('body', 'two', $two->getBody());
    equal('message count', 0, $two->getMessageCount());
    equal('nothing', null, $channel->basic_get($queue));
}

function returns(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $events = [];
    $channel->set_return_listener(function ($code, $text, $exchange, $key, AMQPMessage $message) use (&$events) {
        $events[] = [$code, $text, $exchange, $key, $message->get('message_id'), $message->getBody()];
    });
    $channel->set_ack_handler(function () use (&$events) {
        $events[] = 'confirm';
    });
    $channel->confirm_select();
    $nowhere = unique('nowhere');
    $channel->basic_publish(new AMQPMessage('lost', ['message_id' => 'm-1']), '', $nowhere, mandatory: true);
    $channel->wait_for_pending_acks_returns(ARRIVAL_SECONDS_MAX);
    // A message that cannot be routed is confirmed too, after its return.
    equal('events', [[312, 'NO_ROUTE', '', $nowhere, 'm-1', 'lost'], 'confirm'], $events);
}

/** A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back. */
function ttlDeadLetter(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $wait = unique('wait');
    $work = unique('work');
    $channel->queue_declare($wait, durable: true, auto_delete: false, arguments: new AMQPTable([
        'x-message-ttl' => 100,
        'x-dead-letter-exchange' => '',
        'x-dead-letter-routing-key' => $work,
    ]));
    $channel->queue_declare($work, durable: true, auto_delete: false, arguments: new AMQPTable([
        'x-dead-letter-exchange' => '',
        'x-dead-letter-routing-key' => $wait,
    ]));
    $inbox = new Inbox($channel, $work);
    $channel->basic_publish(new AMQPMessage('try me', [
        'expiration' => '50',
        'application_headers' => new AMQPTable(['attempt' => 'first']),
    ]), '', $wait);

    $expired = $inbox->next();
    equal('body', 'try me', $expired->getBody());
    equal('exchange and key', ['', $work], [$expired->getExchange(), $expired->getRoutingKey()]);
    equal('has an expiration', false, $expired->has('expiration'));
    $headers = headers($expired);
    equal('attempt', 'first', $headers['attempt']);
    equal('x-first-death-queue', $wait, $headers['x-first-death-queue']);
    equal('x-first-death-reason', 'expired', $headers['x-first-death-reason']);
    equal('x-first-death-exchange', '', $headers['x-first-death-exchange']);
    equal('deaths', 1, count($headers['x-death']));
    died($headers['x-death'][0], $wait, 'expired', 1);
    equal('original-expiration', '50', $headers['x-death'][0]['original-expiration']);

    $expired->reject(requeue: false);
    $retried = $inbox->next();
    $deaths = headers($retried)['x-death'];
    equal('deaths', 2, count($deaths));
    // The latest death is the first in the list.
    died($deaths[0], $wait, 'expired', 2);
    died($deaths[1], $work, 'rejected', 1);
    $retried->ack();
}

function priorities(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $queue = durableQueue($channel, 'priorities', ['x-max-priority' => 5]);
    foreach ([1, null, 5, 3, 9] as $priority) {
        $properties = $priority === null ? [] : ['priority' => $priority];
        $channel->basic_publish(new AMQPMessage(json_encode($priority), $properties), '', $queue);
    }
    $order = [];
    while ($message = $channel->basic_get($queue, no_ack: true)) {
        $priority = $message->has('priority') ? $message->get('priority') : null;
        equal('priority', $message->getBody(), json_encode($priority));
        $order[] = $priority;
    }
    // What is above the queue's highest priority counts as the highest, no priority as the lowest.
    equal('order', [5, 9, 3, 1, null], $order);
}

/** Direct reply-to: the answer comes without a queue of the client's own. */
function rpc(AMQPStreamConnection $connection): void
{
    $server = $connection->channel();
    [$queue] = $server->queue_declare('', exclusive: true);
    $server->basic_consume($queue, callback: function (AMQPMessage $request) use ($server) {
        $reply_to = $request->get('reply_to');
        $answer = $request->getBody() . ' ' . json_encode(str_starts_with($reply_to, 'amq.rabbitmq.reply-to.'));
        $properties = ['correlation_id' => $request->get('correlation_id')];
        $server->basic_publish(new AMQPMessage($answer, $properties), '', $reply_to);
        $request->ack();
    });

    $client = $connection->channel();
    $inbox = new Inbox($client, 'amq.rabbitmq.reply-to', no_ack: true);
    foreach (['r-1', 'r-2'] as $id) {
        $properties = ['correlation_id' => $id, 'reply_to' => 'amq.rabbitmq.reply-to'];
        $client->basic_publish(new AMQPMessage('ping', $properties), '', $queue);
        $server->wait(null, false, ARRIVAL_SECONDS_MAX);
        $answer = $inbox->next();
        equal('answer', 'ping true', $answer->getBody());
        equal('correlation id', $id, $answer->get('correlation_id'));
    }
}

function topologyErrors(AMQPStreamConnection $connection): void
{
    $missing = unique('missing');
    refused(404, "NOT_FOUND - no queue '$missing' in vhost '/'", function () use ($connection, $missing) {
        $connection->channel()->queue_declare($missing, passive: true);
    });

    $queue = durableQueue($connection->channel(), 'durable');
    $text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '$queue' in vhost '/': "
        . "received 'false' but current is 'true'";
    refused(406, $text, function () use ($connection, $queue) {
        $connection->channel()->queue_declare($queue, durable: false, auto_delete: false);
    });

    // A publish has no answer of its own: its error shows when the program waits for anything.
    refused(404, "NOT_FOUND - no exchange '$missing' in vhost '/'", function () use ($connection, $missing) {
        $channel = $connection->channel();
        $channel->basic_publish(new AMQPMessage('nowhere to go'), $missing, 'key');
        $channel->wait(null, false, ARRIVAL_SECONDS_MAX);
    });

    // The connection is still in order.
    equal('messages', 0, ready($connection->channel(), $queue));
}

/** The library leaves it to the program when to connect again; the consumer is then to be made anew. */
function recovery(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    $queue = durableQueue($channel, 'recovery');
    $kept = durableQueue($channel, 'kept');
    $inbox = new Inbox($channel, $queue, no_ack: true);
    publishConfirmed($connection, $queue, 'before');
    publishConfirmed($connection, $kept, 'kept');
    equal('body', 'before', $inbox->next()->getBody());

    exec(escapeshellarg(getenv('BROKER_RESTART')) . ' 1>&2', result_code: $code);
    equal('exit code of BROKER_RESTART', 0, $code);
    try {
        $inbox->next();
        throw new RuntimeException('the connection had to be lost');
    } catch (AMQPConnectionClosedException) {
        $connection = reconnected();
    }

    $channel = $connection->channel();
    $inbox = new Inbox($channel, $queue, no_ack: true);
    publishConfirmed($connection, $queue, 'after');
    equal('body', 'after', $inbox->next()->getBody());
    equal('body', 'kept', $channel->basic_get($kept, no_ack: true)->getBody());
    $connection->close();
}

/** Tries until there is a connection; the time limit of the capability ends this too. */
function reconnected(): AMQPStreamConnection
{
    while (true) {
        try {
            return connect();
        } catch (AMQPIOException) {
            usleep(RETRY_INTERVAL_US);
        }
    }
}

function publishConfirmed(AMQPStreamConnection $connection, string $queue, string $text): void
{
    $channel = $connection->channel();
    $channel->confirm_select();
    $channel->basic_publish(persistent($text), '', $queue);
    $channel->wait_for_pending_acks(ARRIVAL_SECONDS_MAX);
    $channel->close();
}

function persistent(string $text): AMQPMessage
{
    return new AMQPMessage($text, ['delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT]);
}

function durableQueue(AMQPChannel $channel, string $what, array $arguments = []): string
{
    $table = new AMQPTable($arguments);
    return $channel->queue_declare(unique($what), durable: true, auto_delete: false, arguments: $table)[0];
}

function ready(AMQPChannel $channel, string $queue): int
{
    return $channel->queue_declare($queue, passive: true)[1];
}
