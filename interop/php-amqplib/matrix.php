<?php
// Runs every capability with php-amqplib and prints one line for each. capabilities.php is where to read how.

declare(strict_types=1);

require 'PhpAmqpLib/autoload.php';
require __DIR__ . '/expect.php';
require __DIR__ . '/capabilities.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Package;

const CAPABILITY_SECONDS_MAX = 90;
// The broker's own stop and start come on top.
const RECOVERY_SECONDS_MAX = 300;

const PROOFS = [
    'declare' => 'declareTopology',
    'publish-confirms' => 'publishConfirms',
    'consume-acks' => 'consumeAcks',
    'get' => 'get',
    'returns' => 'returns',
    'ttl-dead-letter' => 'ttlDeadLetter',
    'priorities' => 'priorities',
    'rpc' => 'rpc',
    'topology-errors' => 'topologyErrors',
    'recovery' => 'recovery',
];

function connect(): AMQPStreamConnection
{
    $url = parse_url(getenv('AMQP_URL'));
    $vhost = urldecode(substr($url['path'], 1));
    return new AMQPStreamConnection($url['host'], $url['port'], $url['user'], $url['pass'], $vhost);
}

/** Each capability has a connection of its own, so that one that breaks it does no harm to the next. */
function onConnection(callable $work): void
{
    $connection = connect();
    try {
        $work($connection);
    } finally {
        try {
            $connection->close();
        } catch (Exception $error) {
            fwrite(STDERR, "closing: {$error->getMessage()}\n");
        }
    }
}

/** To delete what does not exist is no error. */
function cleanUp(AMQPStreamConnection $connection): void
{
    $channel = $connection->channel();
    foreach (Names::$given as $name) {
        $channel->queue_delete($name);
        $channel->exchange_delete($name);
    }
}

pcntl_async_signals(true);
pcntl_signal(SIGALRM, function () {
    throw new RuntimeException('not over in time');
});

echo 'client php-amqplib ', Package::VERSION, "\n";
$failed = false;
foreach (PROOFS as $capability => $proof) {
    try {
        pcntl_alarm($capability === 'recovery' ? RECOVERY_SECONDS_MAX : CAPABILITY_SECONDS_MAX);
        onConnection($proof);
        echo "ok $capability\n";
    } catch (Throwable $error) {
        $failed = true;
        fwrite(STDERR, "$error\n");
        echo "not ok $capability: ", preg_replace('/\s+/', ' ', $error->getMessage()), "\n";
    }
}
pcntl_alarm(CAPABILITY_SECONDS_MAX);
onConnection('cleanUp');
exit($failed ? 1 : 0);
