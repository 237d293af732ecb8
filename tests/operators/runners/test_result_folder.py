"""The folder of a task's result is gone after the task, whatever end that came to."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from operators.runners.result_folder import result_folder

pytestmark = pytest.mark.fast

HOLDER = """
import time
from operators.runners.result_folder import result_folder
with result_folder() as folder:
    (folder / "result.json").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_goes_with_its_task_and_that_of_a_killed_one_with_the_next(temporary: Path):
    (temporary / "corpus-result-file").touch()
    foreign = {temporary / "corpus-result-file"}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True
    ) as task:
        assert task.stdout
        held = Path(task.stdout.readline().strip())
        with result_folder() as own:
            assert set(temporary.iterdir()) == {held, own} | foreign
        assert set(temporary.iterdir()) == {held} | foreign
        task.kill()
    assert (held / "result.json").exists()
    with result_folder() as own:
        assert set(temporary.iterdir()) == {own} | foreign
    assert set(temporary.iterdir()) == foreign
