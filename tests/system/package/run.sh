#!/bin/sh
# `make test-package`: brings the Debian tools, an engine and an image where there are none, runs
# the tests, and stops what it started. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../../.."
python=${VENV:-.venv}/bin/python
export WORK="${WORK:-.work}"

sh deploy/scripts/install.sh aptly autopkgtest debhelper dpkg-dev faketime git gnupg lintian mmdebstrap piuparts python3-pytest

# The host command is tried on a real engine, with the real image.
if ! sh deploy/scripts/engine.sh status; then
    trap 'sh deploy/scripts/engine.sh down' EXIT
fi
trap 'exit 130' INT TERM
"$python" -m deploy.build.images --work "$WORK" airflow
"$python" -m pytest tests/system/package "$@"
