"""The embedded Airflow as a soak sees it: the processes of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Collection
from pathlib import Path

from corpus.store.object_store import Store
from deploy.common.airflow_api import AirflowApi
from deploy.local.embedded.command import Command
from deploy.local.embedded.environment import MARK
from deploy.local.embedded.server import EmbeddedAirflow
from deploy.local.embedded.watch import Watch
from operators.runners.process import SUPERVISOR
from tests.support import processes
from tests.support.processes import Handle, Process
from tests.system.soak.house import House, Work
from tests.system.soak.left_over import held_locks, temporaries
from tests.system.soak.offers import Offers
from tests.system.soak.plan import SERVICES

POLICY = Path(__file__).with_name("airflow_local_settings.py")
# A process of the LocalExecutor in which a task runs.
EXECUTOR = "executor"
# Words of the command lines; Airflow itself spells some in two ways.
_PARTS = {
    "scheduler": ("airflow scheduler",),
    "dag-processor": ("airflow dag-processor", "airflow dag_processor"),
    "api-server": ("airflow api-server", "airflow api_server"),
    "triggerer": ("airflow triggerer",),
}


class EmbeddedHouse(House):
    """Starts as `make up` does, is watched as `make run` watches, and ends as `make down` does."""

    parts = (*_PARTS, EXECUTOR)

    def __init__(self, work: Path, temporary: Path, offers: Offers):
        """`temporary` is the TMPDIR of this process, which what it starts inherits."""
        self.airflow = EmbeddedAirflow(work)
        self.temporary = temporary
        self.store = Store(self.airflow.work / "corpus")
        self._command = Command(self.airflow)
        self._seen: dict[int, float] = {}
        policies = self.airflow.home / "config"
        policies.mkdir(parents=True)
        shutil.copy(POLICY, policies)
        self._command.up(str(offers.samples), str(offers.verdicts))
        self._watch_it()

    def _watch_it(self) -> None:
        running = self.airflow.running()
        assert running
        self.api = AirflowApi(running.url, "admin", self.airflow.password())
        self._watch = Watch(self.airflow, self._command.share, running, self.api)

    def watch(self) -> None:
        before = self._watch.running
        self._watch()
        if self._watch.running != before:
            # Each `make run` has its own, with a new count of restarts.
            self._watch_it()

    def working(self, services: Collection[str]) -> list[Work]:
        found = []
        every = list(processes.living())
        for supervisor in every:
            if str(SUPERVISOR) not in supervisor.words or not self._is_ours(supervisor):
                continue
            # Its task is gone, and it is just ending what that has left.
            if supervisor.parent == 1:
                continue
            service = next((word for word in supervisor.words if word in SERVICES), "")
            for child in every:
                if child.parent == supervisor.pid and service in services:
                    self._seen.setdefault(child.pid, time.monotonic())
                    found.append(Work(service, service, f"{supervisor.parent} {child.pid}"))
        return found

    def _is_ours(self, process: Process) -> bool:
        return processes.environment(process.pid).get(MARK) == str(self.airflow.home)

    def kill(self, work: Work, victim: str, after_s: float) -> str:
        task, service = map(int, work.key.split())
        try:
            handle = Handle(service)
        except ProcessLookupError:
            return ""
        try:
            wait = self._seen[service] + after_s - time.monotonic()
            time.sleep(max(0.0, wait))
            if handle.has_ended:
                return ""
            met = Handle(task) if victim == "task" else handle
            met.kill()
            return f"process {met.pid}"
        except ProcessLookupError:
            return ""
        finally:
            handle.close()

    def kill_part(self, part: str) -> str:
        if part == EXECUTOR:
            found = self._executor()
        else:
            found = [
                process.pid
                for process in self._all()
                if any(words in process.line for words in _PARTS[part])
            ]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return f"process {', '.join(map(str, found))}" if found else ""

    def _executor(self) -> list[int]:
        """The parent of a task's process, if a service is at work."""
        tasks = {work.key.split()[0] for work in self.working(SERVICES)}
        parents = [one.parent for one in processes.living() if str(one.pid) in tasks]
        # Of a task that has outlived its executor there is none.
        return [parent for parent in parents if parent != 1][:1]

    def ailing(self) -> str:
        running = self.airflow.running()
        if running is None:
            return "it does not run"
        dead = [
            part
            for part, words in _PARTS.items()
            if not any(one in process.line for process in self._all() for one in words)
        ]
        return f"dead: {', '.join(dead)}" if dead else self.airflow.ailing(running)

    def _all(self) -> list[Process]:
        return processes.of_folder(self.airflow.work, (MARK, str(self.airflow.home)))

    def left_over(self) -> list[str]:
        services = [one for one in self._all() if "corpus" in one.words]
        return [f"process {one.pid} ({one.line[:100]})" for one in services]

    def stop(self) -> list[str]:
        """Stop it; what is still there then."""
        self._command.down()
        return [
            *(f"process {one.pid} ({one.line[:100]})" for one in self._all()),
            *(f"temporary: {one}" for one in self.temporary.rglob("*")),
            *temporaries(self.airflow.work),
            *held_locks(self.airflow.work),
        ]
