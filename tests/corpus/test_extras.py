"""What a data scientist installs: the wheel, with the extra `snapshots` of setup.py."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
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

import importlib.util

import fsspec
import corpus

assert corpus.__file__.startswith(sys.argv[3]), corpus.__file__
assert importlib.util.find_spec("operators") is None
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


def pip(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the build leaves nothing in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("corpus", "operators"):
        shutil.copytree(REPO / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(REPO / name, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".", cwd=source)
    (made,) = (source / "dist").iterdir()
    return made


def test_the_wheel_holds_the_corpus_alone(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"corpus"}
    modules = {str(path.relative_to(REPO)) for path in (REPO / "corpus").rglob("*.py")}
    assert modules <= set(names)
    assert {"corpus/py.typed", "corpus/card/templates/card.html"} <= set(names)


def test_a_snapshot_is_read_with_nothing_else_installed(wheel: Path, tmp_path: Path):
    site = tmp_path / "site"
    pip("install", "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=tmp_path)
    root = build_two(tmp_path / "corpus").store.path
    brought = distributions_of("snapshots")
    refused = [
        module
        for module, names in packages_distributions().items()
        if brought.isdisjoint(map(canonicalize_name, names))
    ]
    assert {"airflow", "deltalake", "lief"} <= set(refused)
    done = subprocess.run(
        [sys.executable, "-c", READER, root, " ".join(refused), str(site)],
        # Away from the checkout, with the dependencies of this environment.
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
