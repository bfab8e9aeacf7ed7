#!/usr/bin/env bash
# The tools of rabbitmq-c: what a shell script does with queues. Says on stdout what is wrong, if anything is.
set -euo pipefail

queue=interop-rabbitmq-c-tools-$$-$RANDOM
url=--url=$AMQP_URL
trap 'amqp-delete-queue "$url" --queue="$queue" >/dev/null 2>&1 || true' EXIT

expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected '$2', not '$3'"
        exit 1
    fi
}

expect "declared" "$queue" "$(amqp-declare-queue "$url" --queue="$queue" --durable)"

amqp-publish "$url" --routing-key="$queue" --persistent --content-type=text/plain --header="colour: brown" --body="one"
printf 'two\nthree\n' | amqp-publish "$url" --routing-key="$queue" --line-buffered
expect "got" "one" "$(amqp-get "$url" --queue="$queue")"

# The command is run for each message, with the body as its input; the message is acknowledged when it succeeds.
expect "consumed" "two three" "$(amqp-consume "$url" --queue="$queue" --count=2 --prefetch-count=1 xargs echo | xargs)"

# An empty queue is exit code 2.
code=0
amqp-get "$url" --queue="$queue" >/dev/null || code=$?
expect "exit code of amqp-get for an empty queue" 2 "$code"

amqp-publish "$url" --routing-key="$queue" --body="left over"
expect "messages deleted with the queue" 1 "$(amqp-delete-queue "$url" --queue="$queue")"
code=0
message=$(amqp-get "$url" --queue="$queue" 2>&1) || code=$?
expect "exit code of amqp-get without a queue" 1 "$code"
if [[ $message != *"404, message: NOT_FOUND - no queue '$queue' in vhost '/'"* ]]; then
    echo "amqp-get without a queue says: $message"
    exit 1
fi
