"""The extra `snapshots` of setup.py: it names all that reading a snapshot takes."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.building import build_two

REPO = Path(__file__).parents[2]
# Modules of what the extra does not bring count as not installed.
READER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

refused, root = set(sys.argv[2].split()), sys.argv[1]
sys.meta_path.insert(0, Missing())

import fsspec
import corpus
from corpus.cli import main

fsspec.get_filesystem_class("s3")
snapshot = corpus.open_snapshot("latest", root=root)
assert len(snapshot.to_numpy("train")[0])
assert len(snapshot.to_polars()) == snapshot.to_arrow().num_rows
assert len(snapshot.labels(as_of=snapshot.to_polars()["first_seen"].max()).columns)
sys.exit(main(["--root", root, "verify", "latest"]))
"""


def distributions_of(extra: str) -> set[str]:
    """The projects that an extra of setup.py brings, and theirs."""
    tree = ast.parse((REPO / "setup.py").read_text())
    (extras,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "extras_require"
    )
    found = {"corpus-airflow"}
    wanted = [Requirement(line) for line in extras[extra]]
    while wanted:
        name = wanted.pop().name
        if canonicalize_name(name) not in found:
            found.add(canonicalize_name(name))
            more = (Requirement(line) for line in requires(name) or [])
            wanted += [one for one in more if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


def test_a_snapshot_is_read_with_nothing_else_installed(tmp_path: Path):
    root = build_two(tmp_path / "corpus").store.path
    brought = distributions_of("snapshots")
    refused = [
        module
        for module, names in packages_distributions().items()
        if brought.isdisjoint(map(canonicalize_name, names))
    ]
    assert {"airflow", "deltalake", "lief"} <= set(refused)
    done = subprocess.run(
        [sys.executable, "-c", READER, root, " ".join(refused)],
        cwd=REPO, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
