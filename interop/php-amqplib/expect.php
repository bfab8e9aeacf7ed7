<?php
// The words in which the capabilities say what must be so.

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;

const ARRIVAL_SECONDS_MAX = 30;
const CLOCK_SKEW_SECONDS_MAX = 60;

final class Names
{
    /** Every name that was given out, so that the program can delete what was declared under it. */
    public static array $given = [];
}

function unique(string $what): string
{
    return Names::$given[] = "interop-php-amqplib-$what-" . bin2hex(random_bytes(8));
}

function equal(string $what, mixed $expected, mixed $actual): void
{
    if ($expected !== $actual) {
        throw new RuntimeException("$what: expected " . json_encode($expected) . ', not ' . json_encode($actual));
    }
}

/** The broker closes the channel with this code and text. */
function refused(int $code, string $text, callable $call): void
{
    try {
        $call();
    } catch (AMQPProtocolChannelException $error) {
        equal('refusal', [$code, $text], [$error->amqp_reply_code, $error->amqp_reply_text]);
        return;
    }
    throw new RuntimeException("the broker had to refuse this with $code");
}

/** An entry of x-death. Every queue here is published to through the default exchange, under its own name. */
function died(array $death, string $queue, string $reason, int $count): void
{
    equal("x-death's queue", $queue, $death['queue']);
    equal("x-death's reason", $reason, $death['reason']);
    equal("x-death's count", $count, $death['count']);
    equal("x-death's exchange", '', $death['exchange']);
    equal("x-death's routing-keys", [$queue], $death['routing-keys']);
    if (abs(time() - $death['time']->getTimestamp()) > CLOCK_SKEW_SECONDS_MAX) {
        throw new RuntimeException("x-death's time is " . $death['time']->format(DATE_ATOM));
    }
}

/** A consumer that keeps its deliveries, to be taken one by one. */
final class Inbox
{
    public readonly string $tag;
    private array $messages = [];

    public function __construct(private AMQPChannel $channel, string $queue, bool $no_ack = false)
    {
        $this->tag = $channel->basic_consume($queue, no_ack: $no_ack, callback: function (AMQPMessage $message) {
            $this->messages[] = $message;
        });
    }

    public function next(): AMQPMessage
    {
        while (!$this->messages) {
            $this->channel->wait(null, false, ARRIVAL_SECONDS_MAX);
        }
        return array_shift($this->messages);
    }

    public function waiting(): int
    {
        return count($this->messages);
    }
}

function headers(AMQPMessage $message): array
{
    return $message->get('application_headers')->getNativeData();
}
