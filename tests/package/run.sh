#!/bin/sh
# `make test-package`: installs the Debian tools that the tests need, then runs them. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python
export WORK="${WORK:-.work}"
packages="aptly autopkgtest debhelper dpkg-dev faketime git gnupg lintian mmdebstrap piuparts python3-pytest"

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    install="apt-get install -q -y --no-install-recommends$missing"
    if [ "$(id -u)" != 0 ]; then
        printf 'Debian packages are missing. Type this, then try again:\n    sudo %s\n' "$install" >&2
        exit 1
    fi
    echo "== Installing$missing"
    apt-get update -q > /dev/null
    DEBIAN_FRONTEND=noninteractive $install > /dev/null
fi
exec "$python" -m pytest tests/package "$@"
