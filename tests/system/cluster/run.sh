#!/bin/sh
# `make test-cluster`: brings an engine and the images where there are none, runs the tests, and stops
# what it started. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../../.."
python=${VENV:-.venv}/bin/python
export WORK="${WORK:-.work}"

if ! sh deploy/scripts/engine.sh status; then
    trap 'sh deploy/scripts/engine.sh down' EXIT
fi
trap 'exit 130' INT TERM

"$python" -m deploy.build.images --work "$WORK"
"$python" -m pytest tests/system/cluster "$@"
