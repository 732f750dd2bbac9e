#!/bin/sh
# Runs PostgreSQL on the folder PGDATA, which is made on the first start. Arguments go to the server.
# Each start sees to it that the role and its database exist and that the password is the given one.
set -eu
: "${PGDATA:?the data folder}" "${POSTGRES_USER:?the role that clients use}"
: "${POSTGRES_PASSWORD:?the password of the role}" "${POSTGRES_DB:?the database of the role}"
socket=${POSTGRES_SOCKET:-/run/postgresql}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # made beside its place and renamed when whole, so that a start killed half-way leaves nothing half-made
    fresh=$PGDATA.new
    rm -rf "$fresh"
    initdb --pgdata="$fresh" --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
    sync "$fresh/pg_hba.conf"
    mv "$fresh" "$PGDATA"
    sync "$(dirname "$PGDATA")"
fi

# no client can reach the server before the role is there
pg_ctl --pgdata="$PGDATA" --wait --timeout=600 start \
    --options="-c listen_addresses='' -c unix_socket_directories='$socket'"
psql --host="$socket" --username=postgres --dbname=postgres --no-psqlrc --quiet \
    --set=ON_ERROR_STOP=1 --set=role="$POSTGRES_USER" --set=database="$POSTGRES_DB" <<'SQL'
\getenv password POSTGRES_PASSWORD
SELECT format('CREATE ROLE %I', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN CREATEDB PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SQL
pg_ctl --pgdata="$PGDATA" --wait --mode=fast stop

unset POSTGRES_PASSWORD PGPASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories="$socket" "$@"
