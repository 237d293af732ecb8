"""The machine, with limits that really hold."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.common.doctor import machine
from tests.deploy.common.doctor.apart import NOBODY, ask, needs_root

pytestmark = pytest.mark.fast


def test_this_machine_is_one_on_which_it_runs():
    assert machine.system().status != "wrong"
    assert machine.shared_memory().status == "ok"
    assert machine.kept_clock().status in ("ok", "warn")


def test_the_wrong_python():
    assert machine.python((3, 99)).status == "wrong"
    assert "make PYTHON=/usr/bin/python3.99" in machine.python((3, 99)).do
    assert machine.python(machine.sys.version_info[:2]).status == "ok"


def test_little_memory():
    assert machine.memory(0.001, "an update").status == "ok"
    found = machine.memory(1e6, "an update")
    assert found.status == "warn"
    assert "an update takes about 1e+06 GB" in found.what


def test_few_cores():
    found = ask("machine.cores()", "os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})")
    assert found.status == "warn"
    assert found.what.startswith(("1 of ", "1 may be used"))
    assert machine.cores(1).status == "ok"


@needs_root
def test_few_processes():
    limit = "resource.setrlimit(resource.RLIMIT_NPROC, (20, 20))"
    found = ask("machine.processes(500)", f"{limit}; become({NOBODY})")
    assert found.status == "wrong"
    assert "of this user (`ulimit -u`)" in found.what
    # Root is not held by it.
    assert ask("machine.processes(500)", limit).status == "ok"


@needs_root
@pytest.mark.parametrize("options", ["ro", "mode=0755"])
def test_no_shared_memory(options: str):
    first = f"mount('/dev/shm', {options!r}); become({NOBODY})"
    found = ask("machine.shared_memory()", first, unshare=("--mount",))
    assert found.status == "wrong"
    assert "mount -t tmpfs" in found.do


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A control group of version 1 of its own, which only root can make."""
    folder = Path("/sys/fs/cgroup", request.param, f"doctor-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield folder
    # It is empty as soon as the kernel has noticed that its process ended.
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def enter(group: Path) -> str:
    return f"Path({str(group)!r}, 'cgroup.procs').write_text(str(os.getpid()))"


@needs_root
@pytest.mark.parametrize("group", ["pids"], indirect=True)
def test_a_container_that_may_start_few_processes(group: Path):
    (group / "pids.max").write_text("40")
    found = ask("machine.processes(500)", enter(group))
    assert found.status == "wrong"
    assert "of this container (pids.max) leaves 3" in found.what


@needs_root
@pytest.mark.parametrize("group", ["memory"], indirect=True)
def test_a_container_with_little_memory(group: Path):
    (group / "memory.limit_in_bytes").write_text(str(500_000_000))
    found = ask("machine.memory(2, 'an update')", enter(group))
    assert found.status == "warn"
    assert found.what.startswith(("0.4 GB", "0.5 GB"))
    assert "within the limit of this container" in found.what


@needs_root
@pytest.mark.parametrize("group", ["cpu"], indirect=True)
def test_a_container_with_a_share_of_a_core(group: Path):
    (group / "cpu.cfs_quota_us").write_text("50000")
    assert ask("machine.cores()", enter(group)).status == "warn"


def test_a_clock_that_is_behind(tmp_path: Path):
    code = tmp_path / "code.py"
    code.touch()
    assert machine.clock(code, tmp_path).status == "ok"
    future = time.time() + 3 * 86_400
    os.utime(code, (future, future))
    found = machine.clock(code, tmp_path)
    assert found.status == "wrong"
    assert "this code is of" in found.what
    assert "timedatectl" in found.do


def test_a_clock_that_is_behind_the_last_snapshot(tmp_path: Path):
    log = tmp_path / "snapshots" / "log"
    log.mkdir(parents=True)

    def published(number: int, ago: timedelta) -> None:
        at = (datetime.now(UTC) - ago).isoformat(timespec="seconds")
        (log / f"{number:08}.json").write_text(json.dumps({"created_at": at}))

    published(1, timedelta(days=-9))
    assert machine.clock(Path(__file__), tmp_path).status == "wrong"
    published(2, timedelta(hours=1))
    assert machine.clock(Path(__file__), tmp_path).status == "ok"
    (log / "00000003.json").write_text("{")
    assert machine.clock(Path(__file__), tmp_path).status == "ok"
