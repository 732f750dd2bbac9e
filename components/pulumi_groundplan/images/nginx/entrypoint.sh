#!/bin/sh
# Runs nginx and keeps its upstream servers equal to the ready pods behind a headless Service.
#
# nginx looks a name up once, when it starts. A headless name lists exactly the pods that are ready, so looking
# it up again and again is a health check that Kubernetes has already made.
set -eu

: "${UPSTREAM_HOST:?the name of a headless Service}" "${UPSTREAM_PORT:?the port of its pods}"
config=${NGINX_CONFIG:-/etc/nginx/groundplan/nginx.conf}
servers=${NGINX_SERVERS:-/run/nginx/servers.conf}
interval=${RESOLVE_SECONDS:-2}

write_servers() {
    addresses=$(getent ahostsv4 "$UPSTREAM_HOST" | awk '$2 == "STREAM" { print $1 }' | sort -u) || addresses=""
    if [ -n "$addresses" ]; then
        for address in $addresses; do
            echo "server $address:$UPSTREAM_PORT max_fails=3 fail_timeout=5s;"
        done >"$servers.new"
    elif [ -s "$servers" ]; then
        # no answer is also what a broken name server gives: keep what is known rather than cut the traffic
        return 1
    else
        # nginx refuses an upstream without servers; this one makes it answer 502 until a pod is ready
        echo "server 127.0.0.1:1 down;" >"$servers.new"
    fi
    if cmp -s "$servers" "$servers.new"; then
        return 1
    fi
    mv "$servers.new" "$servers"
}

reachable() {
    for address in $(getent ahostsv4 "$UPSTREAM_HOST" | awk '$2 == "STREAM" { print $1 }' | sort -u); do
        if timeout 2 bash -c ": </dev/tcp/$address/$UPSTREAM_PORT" 2>/dev/null; then
            return 0
        fi
    done
    return 1
}

# A new pod is let through to others only once their nodes know its address. Traffic that came before would
# fail, so nginx starts when a server can be reached, or after a while without one, to say so politely.
rm -f "$servers"
tries=${WAIT_TRIES:-30}
until reachable; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "no server of $UPSTREAM_HOST can be reached yet" >&2
        break
    fi
    sleep 1
done
write_servers || true
nginx -e stderr -c "$config" -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT "$nginx" 2>/dev/null || true' TERM INT

# ends with nginx: after a drain, or when it died and the container has to start again
while kill -0 "$nginx" 2>/dev/null; do
    sleep "$interval" &
    wait $! || true
    if write_servers; then
        echo "upstream servers of $UPSTREAM_HOST: $(tr '\n' ' ' <"$servers")" >&2
        kill -HUP "$nginx" 2>/dev/null || true
    fi
done
wait "$nginx"
