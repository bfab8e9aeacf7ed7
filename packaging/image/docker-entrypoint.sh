#!/bin/sh
# As root, hands the data to user rabbitmq and becomes that user; then becomes the command. `docker run --user` is left
# alone. What the environment says (RABBITMQ_DEFAULT_USER and all the others) is the broker's own business.
set -eu

case "${1:-}" in
rabbitmq* | leveret*)
    if [ "$(id -u)" = 0 ]; then
        # A volume may come from anywhere, and a link in it may lead anywhere.
        find /var/lib/rabbitmq \! -user rabbitmq -exec chown --no-dereference rabbitmq:rabbitmq '{}' +
        exec gosu rabbitmq "$@"
    fi
    ;;
esac
exec "$@"
