"""Commands that share an Airflow: locks that the kernel keeps, between real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local.embedded.environment import REPO
from deploy.local.embedded.share import Share

pytestmark = pytest.mark.fast

OTHER = """
import sys
from pathlib import Path
from deploy.local.embedded.share import Share
share = Share(Path(sys.argv[1]))
with share.changing():
    if sys.argv[2] == "use":
        share.use()
    else:
        print("changing", flush=True)
        sys.stdin.readline()
print("out", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[object]:
    with ExitStack() as stack:

        def start(what: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", OTHER, str(tmp_path), what],
                    cwd=REPO,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() in ("changing\n", "out\n")
            return process

        yield start


def test_the_last_one_to_leave_knows_that_it_is(other, tmp_path):
    share = Share(tmp_path)
    with share.changing():
        assert not share.used_by_others()
        share.use()
    process = other("use")
    share.leave()
    with share.changing():
        assert share.used_by_others()
    process.kill()
    process.wait()
    with share.changing():
        assert not share.used_by_others()


def test_who_waits_says_for_whom(other, tmp_path):
    process = other("change")
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), "use"],
        cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stdout
        assert f"Waiting for process {process.pid}," in waiting.stdout.readline()
        process.kill()
        assert waiting.stdout.readline() == "out\n"
        waiting.kill()


@pytest.mark.parametrize("before", [None, 0o755])
def test_the_home_is_for_nobody_else(before: int | None, tmp_path: Path) -> None:
    """It holds the database, the password, the logs, and the secret that tokens are signed with."""
    home = tmp_path / "work" / "airflow"
    if before is not None:
        home.mkdir(parents=True)
        home.chmod(before)
    with Share(home).changing():
        assert home.stat().st_mode & 0o777 == 0o700
