#!/bin/sh
# Dumps the database that the PG* variables name into BACKUP_FOLDER, proves that the dump can be read, and keeps
# the newest BACKUP_KEEP dumps.
set -eu
: "${PGDATABASE:?the database}" "${BACKUP_KEEP:?how many dumps to keep}"
folder=${BACKUP_FOLDER:-/backups}
dump=$folder/$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump

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

trap 'rm -f "$dump.partial"' EXIT
pg_dump --format=custom --file="$dump.partial"
# reads every block of the dump, not only its list of contents
pg_restore --file=/dev/null "$dump.partial"
sync "$dump.partial"
mv "$dump.partial" "$dump"

find "$folder" -maxdepth 1 -name "$PGDATABASE-*.dump" | sort --reverse | tail -n "+$((BACKUP_KEEP + 1))" |
    while read -r old; do
        rm -- "$old"
        echo "removed $old" >&2
    done
echo "$dump"
