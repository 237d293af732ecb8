#!/bin/sh
# Runs tests of the whole system: tests/system/run.sh [browser|cluster|package|soak ...] [-- ARGUMENTS FOR PYTEST].
# Without a name all of them, side by side. Installs what they need, brings an engine and the images where there
# are none, and stops what it started.
set -eu
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python
export WORK="${WORK:-.work}"

suites=""
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    suites="$suites $1"
    shift
done
[ $# -eq 0 ] || shift
: "${suites:= browser cluster package soak}"
packages=""
images=""
places=""
for suite in $suites; do
    places="$places tests/system/$suite"
    case $suite in
        browser) packages="$packages chromium fonts-dejavu-core" ;;
        # All images, which is what no name stands for.
        cluster) images=all ;;
        package)
            packages="$packages aptly autopkgtest debhelper dpkg-dev faketime git gnupg lintian mmdebstrap piuparts python3-pytest"
            # The host command is tried on a real engine, with the real image.
            : "${images:=airflow}"
            ;;
        # That of the cluster lies among the cluster's tests, whose fixtures it has.
        soak) images=all; places="$places tests/system/cluster/test_soak.py" ;;
        *) echo "There is no suite $suite: there are browser, cluster, package and soak." >&2; exit 2 ;;
    esac
done

case "$suites " in
    *" soak "*) ;;
    *) places="$places --ignore=tests/system/cluster/test_soak.py" ;;
esac

# shellcheck disable=SC2086 # lists of names
[ -z "$packages" ] || sh deploy/scripts/install.sh $packages
if [ -n "$images" ]; then
    if ! sh deploy/scripts/engine.sh status; then
        trap 'sh deploy/scripts/engine.sh down' EXIT
    fi
    trap 'exit 130' INT TERM
    # shellcheck disable=SC2046 # no argument where all are wanted
    "$python" -m deploy.build.images --work "$WORK" $([ "$images" = all ] || echo "$images")
fi
# Most tests wait more than they work. Those of the browser share one Airflow.
[ "$suites" != " browser" ] || PROCESSES=0
# shellcheck disable=SC2086 # lists of names
"$python" -m pytest -n "${PROCESSES:-3}" --dist loadscope --no-loadscope-reorder --durations=30 --durations-min=10 $places "$@"
