"""The import contracts of pyproject.toml: each is broken by an import that it forbids."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
# For each contract a module, and a line in it that the contract forbids.
PLANTED = {
    "The corpus never imports Airflow": ("corpus/contract/base.py", "import airflow"),
    "Nothing of a release imports what brings it to hosts": (
        "operators/templates.py",
        "import deploy.local",
    ),
    "Inside corpus imports go down": ("corpus/sources/files.py", "import corpus.services.context"),
    "No stage imports another": (
        "corpus/services/split/assignment.py",
        "import corpus.services.group.grouping",
    ),
    "ember-v3 stands alone": (
        "corpus/features/ember_v3/kernels/compiled.py",
        "import corpus.features.ember_v3.pe.headers",
    ),
    "ember-v3 imports nothing of the corpus but errors": (
        "corpus/features/ember_v3/raw.py",
        "import corpus.features.basic_v1",
    ),
    "What a DAG parse loads of the corpus reads no data": (
        "corpus/contract/requests.py",
        "import numpy",
    ),
    "Inside operators imports go down": (
        "operators/task_log.py",
        "import operators.runners.command",
    ),
    "The floors of deploy": ("deploy/common/shell.py", "import deploy.host.engine"),
    "The images and the package are built independently": (
        "deploy/build/images/client.py",
        "import deploy.build.package.programs",
    ),
    "The host command and doctor take the standard library only": (
        "deploy/host/engine.py",
        "import httpx",
    ),
    "Health checks never import Airflow": ("deploy/container/health/worker.py", "import airflow"),
    "What runs in containers takes nothing of a release": (
        "deploy/container/init/accounts.py",
        "import corpus.errors",
    ),
    "No circle between folders": ("operators/ui/cards.py", "import operators.releases.bundle"),
}
# One plant alone makes no circle.
MORE = {"operators/releases/bundle.py": "import operators.ui.cards"}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the checkout with all of the imports planted."""
    folder = tmp_path_factory.mktemp("planted")
    for name in ("corpus", "operators", "deploy"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(REPO / name, folder / name, ignore=ignored)
    shutil.copy(REPO / "pyproject.toml", folder)
    for module, line in (*PLANTED.values(), *MORE.items()):
        with (folder / module).open("a") as file:
            file.write(f"\n\n{line}  # noqa\n")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def contracts() -> list[str]:
    settings = tomllib.loads((REPO / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


@pytest.mark.parametrize("name", contracts())
def test_a_contract_is_broken_by_an_import_that_it_forbids(said: str, name: str):
    assert name in PLANTED, "plant an import that breaks this contract"
    assert re.search(rf"^{re.escape(name)} BROKEN$", said, re.MULTILINE), said
