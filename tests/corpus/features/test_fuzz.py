"""The fuzz run: its files are always the same, they differ from what they were made of, and it runs."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.executables import launcher, real_elfs
from tests.support.fuzz.cases import base_files, case
from tests.support.fuzz.mutations import kinds, mutated

LAUNCHER = launcher()
PROGRAM = real_elfs()[0].read_bytes()
# Launchers have nothing of these.
ABSENT = {
    "certificate_table", "bound_imports", "delayed_imports", "exports", "export_tables", "tls",
    "load_config",
}  # fmt: skip


@pytest.mark.parametrize("base", [LAUNCHER, PROGRAM], ids=["PE", "ELF"])
def test_every_kind_of_damage_does_some(base: bytes) -> None:
    for kind in set(kinds(base)) - ABSENT:
        made = {mutated(base, f"{seed}:{kind}", LAUNCHER[:3000]) for seed in range(8)}
        assert len(made - {base}) > 2, kind


def test_a_case_is_the_same_again() -> None:
    bases = base_files([])
    numbers = list(range(40))
    first = {number: case(7, number, bases) for number in numbers}
    random.Random(1).shuffle(numbers)
    assert {number: case(7, number, bases) for number in numbers} == first
    assert len({made.data for made in first.values()}) > 35


def test_a_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.fuzz",
            "--seed",
            "7",
            "--count",
            "60",
            "--keep",
            tmp_path,
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 problems" in done.stdout
    assert not list(tmp_path.iterdir())
