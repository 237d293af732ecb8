"""The contracts of deploy: an import that breaks one makes lint fail, and lint names that contract."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
BROKEN = {
    "The floors of deploy": [
        ("deploy/common/shell.py", "deploy.host.engine"),
        ("deploy/host/engine.py", "deploy.build.git"),
        ("deploy/host/engine.py", "deploy.local.wheels"),
        ("deploy/container/health/jobs.py", "deploy.host.engine"),
        ("deploy/build/git.py", "deploy.local.wheels"),
    ],
    "The images and the package are built independently": [
        ("deploy/build/images/client.py", "deploy.build.package.programs"),
        ("deploy/build/package/programs.py", "deploy.build.images.client"),
    ],
    "The host command takes the standard library only": [
        ("deploy/host/engine.py", "requests"),
        ("deploy/common/shell.py", "httpx"),
        ("deploy/host/verbs/reap.py", "operators.reaper"),
    ],
    "Health checks never import Airflow": [("deploy/container/health/worker.py", "airflow")],
    "What runs in containers takes nothing of a release": [
        ("deploy/container/init/accounts.py", "corpus.errors"),
    ],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is linted."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("corpus", "deploy", "operators"):
        shutil.copytree(REPO / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", copy)
    return copy


@pytest.mark.skipif(not LINT.exists(), reason="import-linter is not installed: make setup-dev")
@pytest.mark.parametrize(
    ("contract", "file", "imported"),
    [(contract, *one) for contract, planted in BROKEN.items() for one in planted],
)
def test_an_import_against_a_contract_is_found(
    contract: str, file: str, imported: str, tree: Path
) -> None:
    path = tree / file
    kept = path.read_text()
    path.write_text(f"{kept}\nimport {imported}\n")
    try:
        done = subprocess.run([LINT, "--no-cache"], cwd=tree, capture_output=True, text=True)
    finally:
        path.write_text(kept)
    assert done.returncode == 1, done.stdout
    assert f"{contract} BROKEN" in done.stdout


@pytest.mark.parametrize("folder", ["common", "host"])
def test_the_host_command_imports_nothing_but_the_standard_library(folder: str) -> None:
    """All names, and not just those that the contract lists."""
    for file in (REPO / "deploy" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top == "deploy" or top in sys.stdlib_module_names, f"{file} imports {name}"
