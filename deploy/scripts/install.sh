#!/bin/sh
# Install those of the given Debian packages that are missing, or say what to type: install.sh PACKAGE ...
set -eu
missing=""
for package in "$@"; do
    # shellcheck disable=SC2016 # dpkg's own name
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] \
        || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    echo "Installing Debian packages:$missing"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } > /dev/null
elif sudo -n true 2> /dev/null; then
    echo "Installing Debian packages with sudo:$missing"
    sudo -n sh -c "apt-get update -q && DEBIAN_FRONTEND=noninteractive $install" > /dev/null
else
    echo "Debian packages are missing. Type this, then try again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
