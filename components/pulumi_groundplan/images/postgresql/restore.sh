#!/bin/sh
# Restores a dump of BACKUP_FOLDER: RESTORE_FROM (a file name; unset: the newest) into the database RESTORE_TO
# (unset: the one that was dumped), which is made if it is missing. All of it or nothing.
set -eu
: "${PGDATABASE:?the database that was dumped}"
folder=${BACKUP_FOLDER:-/backups}
target=${RESTORE_TO:-$PGDATABASE}

if [ -n "${RESTORE_FROM:-}" ]; then
    dump=$folder/$RESTORE_FROM
else
    dump=$(find "$folder" -maxdepth 1 -name "$PGDATABASE-*.dump" | sort | tail -n 1)
fi
if [ ! -s "$dump" ]; then
    echo "no dump ${RESTORE_FROM:-of $PGDATABASE} in $folder; there are: $(ls "$folder")" >&2
    exit 66
fi

# a new pod is let through to the server only once every node knows its address
tries=60
until pg_isready --quiet; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "the server $PGHOST didn't answer within a minute" >&2
        exit 69
    fi
    sleep 1
done

PGDATABASE=postgres psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=target="$target" <<'SQL'
SELECT format('CREATE DATABASE %I', :'target')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'target') \gexec
SQL
pg_restore --dbname="$target" --clean --if-exists --no-owner --single-transaction "$dump"
echo "restored $dump into $target"
