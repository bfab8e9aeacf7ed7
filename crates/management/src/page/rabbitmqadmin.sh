#!/bin/sh
# rabbitmqadmin is part of Leveret: it is the same program as the broker, under another name, and speaks the grammar of
# version 1 (declare queue name=x) and that of version 2 (queues declare --name x). This script runs it, if it is installed.
own=$(cd "$(dirname "$0")" 2>/dev/null && pwd)
for folder in $(printf '%s' "$PATH" | tr ':' ' '); do
    if [ "$folder" != "$own" ] && [ -x "$folder/rabbitmqadmin" ]; then
        exec "$folder/rabbitmqadmin" "$@"
    fi
    if [ -x "$folder/leveret" ]; then
        links=$(mktemp -d) || exit 70
        ln -s "$folder/leveret" "$links/rabbitmqadmin" || exit 70
        "$links/rabbitmqadmin" "$@"
        status=$?
        rm -r "$links"
        exit "$status"
    fi
done
echo "rabbitmqadmin: there is none on this machine. Install Leveret (leveret install-links DIR makes the link), or RabbitMQ's" >&2
echo "own: cargo install rabbitmqadmin. Both speak to this broker." >&2
exit 69
