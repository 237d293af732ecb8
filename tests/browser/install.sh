#!/bin/sh
# The browser test drives Debian's Chromium; install it where it is missing and we may.
set -eu
[ ! -x /usr/bin/chromium ] || exit 0
install="apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
if [ "$(id -u)" = 0 ]; then
    echo "Installing Debian packages: chromium fonts-dejavu-core"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } >/dev/null
elif sudo -n true 2>/dev/null; then
    echo "Installing Debian packages with sudo: chromium fonts-dejavu-core"
    sudo -n sh -c "apt-get update -q && DEBIAN_FRONTEND=noninteractive $install" >/dev/null
else
    echo "Chromium is missing. Type this, then try again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
