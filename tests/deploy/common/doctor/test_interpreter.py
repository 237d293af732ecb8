"""What makes Python look elsewhere: variables, and an environment that lost its place."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from deploy.common.doctor import interpreter

pytestmark = pytest.mark.fast

OWN = ("corpus", "operators")


def test_variables_that_change_where_packages_are_found(tmp_path: Path):
    packages, other = tmp_path / "site-packages", tmp_path / "other"
    (packages / "yaml").mkdir(parents=True)
    (other / "yaml").mkdir(parents=True)
    (other / "mine.py").touch()

    def asked(shell: dict[str, str], installed: Path = packages) -> interpreter.Answer:
        return interpreter.variables(shell, installed, OWN, tmp_path / "checkout")

    assert asked({}).status == "ok"
    assert asked({"PYTHONHOME": "/opt/python"}).do == "Type this: unset PYTHONHOME"
    hidden = asked({"PYTHONPATH": f"{tmp_path}/none:{other}"})
    assert hidden.status == "warn"
    assert hidden.what.endswith("hides packages of the virtual environment: yaml")
    (other / "yaml").rmdir()
    assert asked({"PYTHONPATH": str(other)}).status == "ok"
    (other / "corpus.py").touch()
    assert asked({"PYTHONPATH": str(other)}).status == "warn"


def test_the_checkout_itself_may_be_named(tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    shell = {"PYTHONPATH": str(tmp_path)}
    assert interpreter.variables(shell, tmp_path / "none", OWN, tmp_path).status == "ok"


def test_where_pip_installs_matters_before_the_first_start(tmp_path: Path):
    found = interpreter.variables({"PIP_USER": "1"}, tmp_path / "none", OWN, tmp_path)
    assert (found.status, found.do) == ("wrong", "Type this: unset PIP_USER")
    assert interpreter.variables({"PIP_USER": "1"}, tmp_path, OWN, tmp_path).status == "ok"


def test_an_environment_whose_python_is_gone(tmp_path: Path):
    folder = tmp_path / "venv"
    assert interpreter.virtual_environment(folder).what == f"{folder} is made at the first start"
    venv.create(folder, symlinks=True)
    assert interpreter.virtual_environment(folder).status == "ok"
    python = folder / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "python3.11")
    found = interpreter.virtual_environment(folder)
    assert (found.status, found.do) == ("wrong", f"Type this, and it is made again: rm -r {folder}")
    assert str(tmp_path / "python3.11") in found.what


def test_an_environment_that_was_moved(tmp_path: Path):
    folder = tmp_path / "venv"
    venv.create(folder, symlinks=True)
    pip = folder / "bin" / "pip"
    pip.write_text(f"#!{folder}/bin/python\n")
    assert interpreter.virtual_environment(folder).status == "ok"
    moved = folder.rename(tmp_path / "moved")
    found = interpreter.virtual_environment(moved)
    assert found.status == "wrong"
    assert f"its programs look for {folder}/bin/python" in found.what
