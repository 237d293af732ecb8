#!/bin/sh
# apt-get that waits while another program (unattended upgrades, say) holds a lock of apt or dpkg, and says so.
#   deploy/scripts/apt.sh WORD ...    the words are those of apt-get; what it prints is shown if it fails
# APT_WAIT_S seconds at most (default 900).
set -eu
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A signal runs no EXIT trap in dash.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
end=$(($(date +%s) + ${APT_WAIT_S:-900}))
said=""
while :; do
    status=0
    DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q "$@" > "$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        # A mirror that is away is a warning to apt.
        grep '^[WE]:' "$log" >&2 || true
        exit 0
    fi
    # "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (unattended-upgr)"
    held=$(grep -m 1 "Could not get lock" "$log") || held=""
    if [ -z "$held" ] || [ "$(date +%s)" -ge "$end" ]; then
        cat "$log" >&2
        exit "$status"
    fi
    if [ -z "$said" ]; then
        said=yes
        echo "Waiting until another program has installed its packages: ${held#E: }" >&2
    fi
    sleep 2
done
