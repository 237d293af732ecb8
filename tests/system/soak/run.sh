#!/bin/sh
# `make test-soak`: brings an engine and the images where there are none, lives through the acts, and stops what it
# started. SEED, ACTS, FULL and PIECE say which acts (sitting.py); T is one of the two tests. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../../.."
python=${VENV:-.venv}/bin/python
export WORK="${WORK:-.work}"

case ${T:-} in
*test_embedded*) ;;
*)
    if ! sh deploy/scripts/engine.sh status; then
        trap 'sh deploy/scripts/engine.sh down' EXIT
    fi
    trap 'exit 130' INT TERM
    "$python" -m deploy.build.images --work "$WORK"
    ;;
esac
# shellcheck disable=SC2086 # two places
"$python" -m pytest -s ${T:-tests/system/soak tests/system/cluster/test_soak.py} "$@"
