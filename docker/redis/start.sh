#!/bin/sh
# Redis, listening on the network; arguments are redis-server's. REDIS_PASSWORD_FILE names a file with
# the password, which goes by standard input: neither a command line nor a file of its own shows it.
set -eu
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
    access="requirepass \"$(sed 's/[\\"]/\\&/g' "$REDIS_PASSWORD_FILE")\""
else
    access='protected-mode no'
fi
exec redis-server - --bind '*' '-::*' --dir /data "$@" <<END
$access
END
