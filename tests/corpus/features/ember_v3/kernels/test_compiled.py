"""Kernels are there whatever became of the machine code that was kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]

_KERNEL = """
import sys
from corpus.features.ember_v3.kernels.compiled import compiled, types
import numba
numba.config.CACHE_DIR = sys.argv[1]

@compiled(types.int64(types.int64))
def doubled(number):
    return 2 * number

print(doubled(21))
"""


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_what_was_kept_may_be_cut_off(tmp_path: Path, ending: str) -> None:
    (tmp_path / "kernel.py").write_text(_KERNEL)
    kept = tmp_path / "kept"
    assert doubled(tmp_path, kept) == "42\n"
    (file,) = kept.rglob(f"*{ending}")
    file.write_bytes(file.read_bytes()[:9])
    assert doubled(tmp_path, kept) == "42\n"


def doubled(folder: Path, kept: Path) -> str:
    return subprocess.run(
        [sys.executable, str(folder / "kernel.py"), str(kept)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
