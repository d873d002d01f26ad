#!/bin/sh
# Makes the database on first start from POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, as the official image does; then runs it.
set -eu

mkdir -p /var/run/postgresql

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    trap 'find "$PGDATA" -mindepth 1 -delete' EXIT # half a database would be taken for a whole one
    secret=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" >"$secret"
    initdb --username="$POSTGRES_USER" --pwfile="$secret" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    rm "$secret"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
    PGPASSWORD=$POSTGRES_PASSWORD createdb --username="$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}"
    pg_ctl --wait --mode=fast stop >/dev/null
    trap - EXIT
fi
unset POSTGRES_PASSWORD
exec "$@" -c 'listen_addresses=*'
