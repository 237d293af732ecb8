#!/bin/sh
# Say what would get in the way of a start, by the Python that setup.sh would take: doctor.sh OPTION ...
# The options are those of `python -m deploy.local.doctor`. WORK, VENV, SAMPLES, VERDICTS and PORT are what the start
# is given. With SKIP_DOCTOR=1 nothing is looked at before a start (--quiet).
set -eu
cd "$(dirname "$0")/../.."
quiet=""
for word in "$@"; do [ "$word" != --quiet ] || quiet=yes; done
[ -z "$quiet" ] || [ -z "${SKIP_DOCTOR:-}" ] || exit 0

python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
if [ -z "$python" ] || ! "$python" -E -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    # Before a start, setup.sh installs Python, or says the same.
    [ -z "$quiet" ] || exit 0
    echo "wrong  python  There is no Python 3.11 here${python:+; $python is another}." >&2
    echo "               On Debian 12, as root: apt-get install python3. Or name one: make PYTHON=FILE ..." >&2
    exit 3
fi
[ -z "${SAMPLES:-}" ] || set -- --samples "$SAMPLES" "$@"
[ -z "${VERDICTS:-}" ] || set -- --verdicts "$VERDICTS" "$@"
[ -z "${PORT:-}" ] || set -- --port "$PORT" "$@"
# Without what variables make of Python: that is looked at, too.
exec "$python" -E -X utf8 -m deploy.local.doctor --work "${WORK:-.work}" --venv "${VENV:-.venv}" "$@"
