"""One Airflow on this machine: its start, its health, and a stop that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.common import atomic
from deploy.common.airflow_api import AirflowApi
from deploy.common.errors import StartError, UnavailableError
from deploy.common.ports import free_port, holder, is_free
from deploy.local.embedded.environment import MARK, environment
from deploy.local.embedded.share import make_private
from deploy.local.embedded.stops import ignore_stops
from deploy.local.say import say_if_heard
from operators.settings import WorkerSettings

START_SECONDS = 180
_TRIGGERER_S = 2.0
# Parts without which no update ends, or nobody learns that one is late.
_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
# Words of the command line of each process that has to be there; Airflow itself spells some in two ways.
_PROCESSES = {
    # What has started the others, and writes the log.
    "parent": ("deploy.local.embedded.parts",),
    "scheduler": ("airflow scheduler",),
    "dag_processor": ("airflow dag-processor", "airflow dag_processor"),
    "api_server": ("airflow api-server", "airflow api_server"),
    "triggerer": ("airflow triggerer",),
}


@dataclass(frozen=True)
class Running:
    """An Airflow that was started: process id of its group's leader, where it listens, whether it is to stay."""

    pid: int
    port: int
    kept: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class EmbeddedAirflow:
    """The Airflow of one work folder; its home is `<work>/airflow`."""

    program: Sequence[str] = ("-m", "deploy.local.embedded.parts")

    def __init__(self, work: Path):
        self.work = work.resolve()
        self.home = self.work / "airflow"
        self.log = self.home / "airflow.log"
        self.state = self.home / "running.json"
        self.config = self.work / "corpus.toml"
        self.passwords = self.home / "simple_auth_manager_passwords.json.generated"

    # Start and stop

    def recorded(self) -> Running | None:
        """Return what `start` recorded, dead or alive; None if it was stopped since."""
        try:
            # Before it was said, only what was to stay was ever found here.
            return Running(**{"kept": True, **json.loads(self.state.read_text())})
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def running(self) -> Running | None:
        """Return what `start` recorded, if it is still alive."""
        found = self.recorded()
        return found if found and found.pid in set(self._processes()) else None

    def leftovers(self) -> int:
        """Return how many processes of this Airflow there are, whoever started them."""
        return sum(1 for _ in self._processes())

    def start(self, port: int | None = None, *, kept: bool = False) -> Running:
        """Start, and wait until the parts that matter are healthy; what an earlier start left is stopped.

        :param port: where it is to listen, if nobody else does; by default at a free one.

        Raises `StartError`. Whatever it raises, nothing is left running.
        """
        make_private(self.home)
        try:
            self.stop()
            return self._started(port_for(port), kept)
        except BaseException:
            ignore_stops()
            say_if_heard("\nStopping Airflow ...")
            self.stop()
            raise

    def keep(self, running: Running) -> Running:
        """Note that it is to stay when the commands that use it end."""
        kept = Running(running.pid, running.port, kept=True)
        atomic.write(self.state, json.dumps(asdict(kept)))
        return kept

    def _started(self, port: int, kept: bool) -> Running:
        settings = WorkerSettings.load(file=self.config)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *self.program],
                cwd=self.home,
                env=environment(self.home, self.config, port, os.environ, settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Running(process.pid, port, kept)
        atomic.write(self.state, json.dumps(asdict(started)))
        deadline = time.monotonic() + START_SECONDS
        while ailing := self.ailing(started):
            if process.poll() is not None:
                raise StartError(
                    f"Airflow stopped with status {process.returncode}; see {self.log}."
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"Airflow was not healthy after {START_SECONDS} s ({ailing}); see {self.log}."
                )
            time.sleep(0.5)
        return started

    def ailing(self, running: Running) -> str:
        """Return what is not well, in words; empty if all is."""
        # Airflow takes half a minute to find a part ill that has ended.
        if dead := self.dead():
            return f"no process: {', '.join(dead)}"
        try:
            parts = AirflowApi(running.url, "", "").health()
        except UnavailableError:
            return "its API does not answer"
        ill = [part for part in _PARTS if parts.get(part) != "healthy"]
        return f"not healthy: {', '.join(ill)}" if ill else ""

    def dead(self) -> list[str]:
        """Return the parts that have no process; on a busy machine a living one may look ill for long."""
        lines = [_command_line(pid) for pid in self._processes()]
        return [
            part
            for part, words in _PROCESSES.items()
            if not any(word in line for word in words for line in lines)
        ]

    def stop(self, patience: float = 20.0) -> bool:
        """Stop every process that this Airflow started, children of children too; False if there was none."""
        found = set(self._processes())
        stopped = bool(found)
        for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            signalled: set[int] = set()
            deadline = time.monotonic() + wait
            while found and time.monotonic() < deadline:
                if time.monotonic() > deadline - wait + _TRIGGERER_S and _only_triggerer(found):
                    break
                # Also those that were forked since the last look.
                for pid in found - signalled:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                signalled |= found
                time.sleep(0.2)
                _reap(found)
                found = set(self._processes())
        self.state.unlink(missing_ok=True)
        return stopped

    def _processes(self) -> Iterator[int]:
        """Processes that carry this home's mark in their environment, zombies left out."""
        mark = f"{MARK}={self.home}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)

    # Access

    def password(self) -> str:
        """The generated password of the user `admin`."""
        return str(json.loads(self.passwords.read_text())["admin"])


def port_for(wanted: int | None) -> int:
    """Return the port that is wanted, if nobody else has taken it meanwhile; or else a free one, and say so."""
    if wanted is not None and is_free(wanted):
        return wanted
    found = free_port()
    if wanted is not None:
        who = holder(wanted) or "another program"
        say_if_heard(f"Port {wanted} is held by {who} now: Airflow takes port {found} instead.")
    return found


def _only_triggerer(pids: set[int]) -> bool:
    """Whether all else has ended. Airflow's triggerer may sleep for ten seconds when it has nothing left to do."""
    titles = (*_PROCESSES["triggerer"], *_PROCESSES["parent"])
    return all(any(title in line for title in titles) for line in map(_command_line, pids))


def _command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
