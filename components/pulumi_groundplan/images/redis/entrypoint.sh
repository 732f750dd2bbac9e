#!/bin/sh
# Runs Redis with the arguments given. The password comes in a file of its own, because arguments are shown to
# every process of the node.
set -eu
: "${REDIS_PASSWORD:?the password that clients must give}"
case $REDIS_PASSWORD in
    *[\"\\]*) echo "REDIS_PASSWORD holds a double quote or a backslash; leave them out" >&2; exit 64 ;;
esac
umask 077
printf 'requirepass "%s"\n' "$REDIS_PASSWORD" >/tmp/redis.conf
unset REDIS_PASSWORD
exec redis-server /tmp/redis.conf "$@"
