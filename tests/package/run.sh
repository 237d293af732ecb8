#!/bin/sh
# `make test-package`: brings the Debian tools, an engine and an image where there are none, runs
# the tests, and stops what it started. Arguments go to pytest.
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

# The host command is tried on a real engine, with the real image.
if ! sh deploy/engine.sh status; then
    trap 'sh deploy/engine.sh down' EXIT
fi
trap 'exit 130' INT TERM
"$python" -m deploy.images --work "$WORK" airflow
"$python" -m pytest tests/package "$@"
