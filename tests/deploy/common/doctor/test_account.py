"""The user who starts something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.common.doctor import account
from tests.deploy.common.doctor.apart import ask, needs_root

pytestmark = pytest.mark.fast


@needs_root
def test_a_user_without_a_name():
    found = ask("account.user({})", "become(54321)")
    assert (found.status, found.do) == ("wrong", "Give it one: export USER=corpus")
    assert ask("account.user({'USER': 'ci'})", "become(54321)").what.startswith("ci, whose home")


def test_a_home(tmp_path: Path):
    assert account.user({"USER": "ci", "HOME": str(tmp_path)}).what == f"ci, home {tmp_path}"
    for home in ({}, {"HOME": str(tmp_path / "none")}):
        found = account.user({"USER": "ci", **home})
        assert (found.status, "caches go below the work folder" in found.what) == ("ok", True)


def test_the_name_of_a_user():
    assert account.name_of(0) == "root"
    assert account.name_of(54321) == "54321"
    assert account.name_of(os.geteuid())
