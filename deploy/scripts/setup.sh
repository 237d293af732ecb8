#!/bin/sh
# Make the virtual environment and install the locks into it; quick when nothing has changed.
#   deploy/scripts/setup.sh run     what the bundle needs
#   deploy/scripts/setup.sh dev     that, and what the tests and linters need
# VENV names the virtual environment (default .venv); PYTHON the interpreter (default python3.11, else python3).
set -eu
cd "$(dirname "$0")/../.."
kind=${1:-run}
venv=${VENV:-.venv}

say() { printf '%s\n' "$*"; }

missing=""
# The system's own interpreter goes with the system's own headers, whatever else comes first on PATH.
python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
[ -n "$python" ] || missing="$missing python3"
[ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null && missing="$missing python3-venv"
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
header='import sysconfig, pathlib, sys; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())'
{ [ -n "$python" ] && "$python" -c "$header"; } || missing="$missing python3-dev"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of package names
    sh deploy/scripts/install.sh $missing
    python=${PYTHON:-$(command -v python3.11 || command -v python3)}
fi

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    say "The lock is for Python 3.11; $python is $("$python" -V)." >&2
    say "Name another: make PYTHON=/usr/bin/python3.11 ..." >&2
    exit 1
}

locks="requirements/build.lock requirements/run.lock"
[ "$kind" = run ] || locks="$locks requirements/dev.lock"
# shellcheck disable=SC2086 # a list of files
stamp=$(cat $locks setup.py deploy/scripts/setup.sh corpus/features/ember_v3/*.py corpus/features/ember_v3/*/*.py | sha256sum | cut -d' ' -f1)
done_file="$venv/.installed-$kind"
if [ -x "$venv/bin/corpus" ] && [ "$(cat "$done_file" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

. deploy/scripts/home.sh
[ -z "$homeless" ] || say "The home folder ${HOME:-} cannot be written to; caches are below ${WORK:-.work}."
say "Setting up $venv from requirements/*.lock (a minute or two the first time)."
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.lock
# uv does not read pip's configuration; a mirror set there should serve here too.
index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
set -- --python "$venv/bin/python" --no-build-isolation-package py-tlsh --require-hashes
for lock in $locks; do set -- "$@" -r "$lock"; done
# Compiled once, for all of the many processes to come: where PYTHONDONTWRITEBYTECODE is set, each would do it again.
UV_NATIVE_TLS=${UV_NATIVE_TLS:-true} "$venv/bin/uv" pip install -q --no-progress --compile-bytecode "$@"
"$venv/bin/uv" pip install -q --no-progress --python "$venv/bin/python" --no-deps --no-build-isolation -e .
# The byte kernels of the feature sets become machine code now, not in the first process that uses them,
# where the compiler's memory would count.
"$venv/bin/python" -c 'import corpus.features.ember_v3'
printf '%s\n' "$stamp" > "$done_file"
say "Installed $("$venv/bin/uv" pip list -q --python "$venv/bin/python" 2>/dev/null | tail -n +3 | wc -l) packages."
