"""`make run`, `make up` and `make down`, each in a real Airflow of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.embedded.environment import MARK, REPO
from deploy.local.embedded.server import EmbeddedAirflow
from tests.support import launchers
from tests.support.processes import of_folder

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Workplace:
    """A work folder, with the samples and verdicts it takes in."""

    work: Path
    samples: Path
    verdicts: Path

    @property
    def root(self) -> Path:
        return self.work / "corpus"

    def command(self, verb: str, *, own_files: bool = False) -> list[str]:
        options = ["--work", self.work]
        if own_files:
            options += ["--samples", self.samples, "--verdicts", self.verdicts]
        return [sys.executable, "-m", "deploy.local.embedded", *map(str, options), verb]

    def make(
        self, verb: str, *, own_files: bool = False, shell: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(verb, own_files=own_files)
        environment = {**os.environ, **(shell or {})}
        return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True)

    def corpus(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "corpus", "--root", str(self.root), *arguments, "--json"]
        return json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )

    def snapshots(self) -> list[str]:
        return [snapshot["id"] for snapshot in self.corpus("snapshots", "list")]


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path / "work", tmp_path / "samples", tmp_path / "verdicts.csv")
    launchers.verdicts(launchers.samples(place.samples), place.verdicts)
    yield place
    EmbeddedAirflow(place.work).stop()


def living(place: Workplace) -> dict[int, str]:
    """What still runs of a work folder, by the numbers of its processes."""
    found = of_folder(place.work, (MARK, str(place.work / "airflow")))
    return {process.pid: process.line for process in found}


def not_on_loopback(pids: Iterable[int]) -> set[str]:
    """Addresses, as the kernel writes them, where processes listen and other machines reach them."""
    sockets: set[str] = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    listening = "0A"
    loopback = ("0100007F:", "00000000000000000000000001000000:")
    return {
        fields[1]
        for fields in lines
        if fields[3] == listening
        and f"socket:[{fields[9]}]" in sockets
        and not fields[1].startswith(loopback)
    }


def test_updates_one_after_another(workplace: Workplace) -> None:
    # As it may be in the shell of somebody who has another Airflow, behind a proxy.
    foreign = workplace.work.parent / "foreign.db"
    shell = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{foreign}",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Tokyo",
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
    }
    late = workplace.samples / "pip-w64.exe"
    kept_back = late.rename(workplace.work.parent / late.name)

    first = workplace.make("run", own_files=True, shell=shell)
    assert first.returncode == 0, first.stdout + first.stderr
    assert not foreign.exists()
    assert re.search(r"not used here: .*\bAIRFLOW__CORE__DEFAULT_TIMEZONE\b", first.stdout)
    (one,) = workplace.snapshots()
    assert f"Snapshot {one} (number 1)" in first.stdout
    assert "samples     11" in first.stdout
    assert "labels      benign 6, malicious 5" in first.stdout
    assert "extract [shard-0000]" in first.stdout
    card = next(line.split()[-1] for line in first.stdout.splitlines() if "data card" in line)
    assert one in Path(card).read_text()
    assert living(workplace) == {}
    assert workplace.corpus("verify", one)["ok"]

    # From here on in an Airflow that is kept, and with the files that were given once.
    up = workplace.make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert f"Input: samples {workplace.samples}; verdicts {workplace.verdicts}." in up.stdout
    assert not (workplace.work / "demo").exists()
    address = next(word for word in up.stdout.split() if word.startswith("http://127.0.0.1:"))
    assert living(workplace)
    assert not_on_loopback(living(workplace)) == set()
    assert (workplace.work / "airflow").stat().st_mode & 0o077 == 0

    again = workplace.make("run")
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"Nothing new: {one} stays the latest snapshot" in again.stdout
    assert f"The UI: {address}" in again.stdout
    assert workplace.snapshots() == [one]

    kept_back.rename(late)
    third = workplace.make("run")
    assert third.returncode == 0, third.stdout + third.stderr
    two = workplace.snapshots()
    assert sorted(two)[0] == one
    assert len(two) == 2
    difference = workplace.corpus("diff", one, "latest")
    assert len(difference["added"]) == 1
    assert {n for n, count in difference["counts"].items() if count not in (0, {})} <= {
        *("added", "re_extracted")
    }

    workplace.verdicts.write_text("sha256,class\n")
    broken = workplace.make("run")
    assert broken.returncode == 1
    assert f"{workplace.verdicts}, field 'verdict': there is no such column." in broken.stdout
    assert "import_verdicts              FAILED" in broken.stdout
    assert workplace.snapshots() == two

    down = workplace.make("down")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert living(workplace) == {}
    assert workplace.make("down").stdout == "Nothing was running.\n"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "Starting Airflow"),
        # A state that passes quickly may never be seen; that a task is done is always told.
        (signal.SIGHUP, r"collect +done"),
    ],
    ids=["SIGINT-while-starting", "SIGHUP-while-updating"],
)
def test_a_stopped_run_leaves_nothing_behind(
    workplace: Workplace, number: signal.Signals, moment: str
) -> None:
    process = subprocess.Popen(
        workplace.command("run", own_files=True), cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if re.search(moment, line):
            break
    else:
        pytest.fail(f"The run ended with {process.wait()} before {moment!r}.")
    time.sleep(0.5)  # into the middle of it
    assert len(living(workplace)) > 1
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait() == 128 + number, rest
    assert "Stopping Airflow" in rest
    assert living(workplace) == {}
    assert not (workplace.root / "snapshots" / "latest.json").exists()


def test_two_runs_share_one_airflow_and_the_last_one_stops_it(workplace: Workplace) -> None:
    first = subprocess.Popen(
        workplace.command("run", own_files=True),
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert first.stdout
    for line in first.stdout:
        if "Update manual" in line:
            break
    second = subprocess.Popen(
        workplace.command("run"),
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert second.stdout
    said = ""
    for line in second.stdout:
        said += line
        if "waits for run" in line:
            break
    # Who read the output of the first one goes away, as with `make run | head`.
    first.stdout.close()
    said += second.stdout.read()
    assert second.wait() == 0, said
    assert first.wait() in (0, 128 + signal.SIGPIPE)
    assert "this one joins its Airflow" in said
    assert re.search(r"waits for run manual\S+ to end, \d+ s so far; there: ", said)
    (one,) = workplace.snapshots()
    assert f"Nothing new: {one} stays the latest snapshot" in said
    assert living(workplace) == {}


def test_what_died_is_started_again_and_the_update_goes_on(workplace: Workplace) -> None:
    up = workplace.make("up", own_files=True)
    assert up.returncode == 0, up.stdout + up.stderr
    assert (
        str(workplace.work / "airflow" / "simple_auth_manager_passwords.json.generated")
        in up.stdout
    )
    schedulers = [pid for pid, words in living(workplace).items() if "airflow scheduler" in words]
    assert schedulers
    for pid in schedulers:
        os.kill(pid, signal.SIGKILL)
    run = workplace.make("run")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "starting it again" in run.stdout
    assert len(workplace.snapshots()) == 1
    # It was kept before, and is kept still.
    assert "The UI: " in run.stdout
    assert living(workplace)
