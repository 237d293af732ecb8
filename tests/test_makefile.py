"""The Makefile: what a person types is what the program gets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

REPO = Path(__file__).parents[1]
# What make, a shell or both read as something else.
AWKWARD = "/data/a b/$x$(y)/'q'\"d\"/`z`;#"
SHOW = """show: ; @printf '%s\\n' "$$SAMPLES" "$$VERDICTS" "$$WORK" "$$KEY" """


def shown(*arguments: str, **environment: str) -> list[str]:
    """What a recipe's program sees of SAMPLES, VERDICTS, WORK and KEY."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("WORK", "KEY")}
    return subprocess.run(
        ["make", "--no-print-directory", "--eval", SHOW, "show", *arguments],
        cwd=REPO, env={**inherited, **environment}, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip


def test_what_is_typed_on_the_command_line_stays_as_it_is():
    given = [f"{name}={AWKWARD}" for name in ("SAMPLES", "VERDICTS", "WORK", "KEY")]
    assert shown(*given) == [AWKWARD] * 4


def test_what_stands_in_the_environment_stays_as_it_is():
    assert shown(SAMPLES=AWKWARD, WORK=AWKWARD) == [AWKWARD, "", AWKWARD, ""]


def test_there_are_defaults():
    assert shown() == ["", "", ".work", ""]
