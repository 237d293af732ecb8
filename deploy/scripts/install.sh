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
apt=$(dirname "$0")/apt.sh
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    echo "Installing Debian packages:$missing"
    sh "$apt" update
    # shellcheck disable=SC2086 # a list of package names
    sh "$apt" install -y --no-install-recommends $missing
elif sudo -n true 2> /dev/null; then
    echo "Installing Debian packages with sudo:$missing"
    sudo -n sh "$apt" update
    # shellcheck disable=SC2086 # a list of package names
    sudo -n sh "$apt" install -y --no-install-recommends $missing
else
    echo "Debian packages are missing. Type this, then try again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
