#!/bin/sh
# PostgreSQL, listening on the network; arguments are those of `postgres`. The first start makes the
# database: POSTGRES_USER owns POSTGRES_DB, POSTGRES_PASSWORD_FILE names a file with the password.
set -eu
home=/var/lib/postgresql
if [ ! -e "$home/data/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD_FILE:?names the file with the password of $POSTGRES_USER}"
    rm -rf "$home/new"
    initdb --pgdata "$home/new" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
        --encoding UTF8 --auth-local scram-sha-256 --auth-host scram-sha-256
    echo 'host all all all scram-sha-256' >> "$home/new/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        printf 'CREATE DATABASE "%s"\n' "$POSTGRES_DB" | postgres --single -D "$home/new" postgres > /dev/null
    fi
    # Whole or not at all: a first start that was cut short begins anew.
    mv "$home/new" "$home/data"
fi
# Left by a container that was killed, it names a process that may be another one here, such as a health check; then
# Postgres would not start. Of its own there is none yet: a container's processes begin with this one.
rm -f "$home/data/postmaster.pid"
exec postgres -D "$home/data" -c "listen_addresses=*" -c unix_socket_directories=/tmp "$@"
