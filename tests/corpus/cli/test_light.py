"""Help is quick: it loads nothing that reads data."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("deltalake", "lief", "numpy", "polars", "pyarrow")
CALL = f"""
import sys
from corpus.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
found = sorted(set({HEAVY!r}) & set(sys.modules))
print("heavy:", *found)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("ingest", "--help"),
        ("snapshots", "--help"),
        ("export", "--help"),
        ("vectorize", "--help"),
        ("config", "store.root"),
    ],
    ids=" ".join,
)
def test_help_loads_nothing_that_reads_data(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", CALL, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]


def test_names_of_feature_sets_load_nothing_that_reads_data() -> None:
    code = (
        "import sys, corpus; assert 'ember-v3' in corpus.features.names(); "
        "corpus.features.get('ember-v3').dim; corpus.errors.CorpusError; "
        f"sys.exit(' '.join(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.stderr.strip()
