"""One pass over what tasks left on this host: their containers, and their scratch folders."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from corpus.errors import BadSettingError
from operators.containers import scratch
from operators.containers.engine import Engine
from operators.containers.labels import SCRATCH
from operators.containers.spec import GRACE_S
from operators.errors import EngineError, NoSuchThingError, RefusedError
from operators.reaper.airflow_api import AirflowApi, TaskKey, TaskState, by_task
from operators.reaper.orphans import Sightings, why_orphan
from operators.reaper.report import Counts, Report
from operators.settings import WorkerSettings
from operators.task_try import PREFIX, TaskTry

_DAY_S = 86_400
# A container that another reaper is removing.
_CONFLICT = 409


@dataclass(frozen=True)
class Container:
    """A container of ours, as the engine lists it."""

    id: str
    name: str
    running: bool
    task: TaskTry


@dataclass
class Holding:
    """What one task has on this host."""

    containers: list[Container] = field(default_factory=list)
    folder: Path | None = None
    owner: TaskTry | None = None


class Sweep:
    """Looks at everything of ours on one engine and below one scratch folder, pass by pass.

    Another cluster may share the engine, and this one's Airflow knows nothing of its tasks: only the
    containers that work in this scratch folder are judged.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        api: AirflowApi,
        engine: Engine,
        report: Report,
        *,
        grace_s: float,
        dry_run: bool = False,
    ) -> None:
        self.api = api
        self.engine = engine
        self.report = report
        self.dry_run = dry_run
        self.root = Path(settings.docker.scratch)
        self.sightings = Sightings(grace_s)

    def look(self) -> Counts:
        """One pass. Raises `PassingFaultError` if the engine or Airflow does not answer.

        What Airflow had answered for by then is dealt with, and nothing else is touched.
        """
        if not self.root.is_dir():
            # Without it a container that was taken over looks like one that was lost.
            raise BadSettingError(f"{self.root} is not a folder.", field="docker.scratch")
        # Also when there is nothing to ask about: a wrong password is found before it matters.
        self.api.check()
        counts = Counts()
        self.sightings.begin_pass()
        holdings = self._holdings(counts)
        for keys in by_task(holdings):
            try:
                found = self.api.find(keys)
            except RefusedError as error:
                self.report.once(f"dag {keys[0].dag_id}", f"Kept what may not be judged: {error}")
                counts.unknown += len(keys)
                continue
            for key in keys:
                self._judge(key, holdings[key], found.get(key), counts)
        self._crumbs({scratch.key(c.task) for h in holdings.values() for c in h.containers}, counts)
        self.sightings.end_pass()
        return counts

    # What there is

    def _holdings(self, counts: Counts) -> dict[TaskKey, Holding]:
        holdings: defaultdict[TaskKey, Holding] = defaultdict(Holding)
        for container in self._containers(counts):
            counts.containers += 1
            holdings[TaskKey.of(container.task)].containers.append(container)
        for folder in scratch.folders(self.root):
            owner = scratch.read_owner(folder)
            if owner is None or not _sound(owner) or scratch.key(owner) != folder.name:
                continue
            counts.folders += 1
            holding = holdings[TaskKey.of(owner)]
            holding.folder, holding.owner = folder, owner
        return dict(holdings)

    def _containers(self, counts: Counts) -> Iterable[Container]:
        for entry in self.engine.look(lambda client: client.containers([f"{PREFIX}task_id"])):
            labels = entry["Labels"]
            if (place := labels.get(SCRATCH)) != str(self.root):
                whose = f"work in {place}" if place else f"have no label {SCRATCH}"
                self.report.once(
                    f"scratch {place}",
                    f"Left alone containers that {whose}: here is {self.root}.",
                )
                continue
            task = TaskTry.from_labels(labels)
            name = str((entry.get("Names") or [entry["Id"][:12]])[0]).lstrip("/")
            if task is None or not _sound(task):
                self.report.once(entry["Id"], f"Kept container {name}: its labels name no task.")
                counts.unknown += 1
                continue
            running = entry.get("State") not in ("exited", "created", "dead")
            yield Container(entry["Id"], name, running, task)

    # What is done about it

    def _judge(
        self, key: TaskKey, holding: Holding, state: TaskState | None, counts: Counts
    ) -> None:
        now = time.monotonic()
        left = []
        for container in holding.containers:
            why = why_orphan(state, container.task, holding.owner)
            if why and self._due(f"container {container.id}", now, counts):
                why = self._still(key, container.task, holding)
                if why and self._remove_container(container, why, counts):
                    continue
            left.append(container)
        owner, folder = holding.owner, holding.folder
        if owner is None or folder is None:
            return
        if why_orphan(state, owner, owner) is None:
            return
        # A folder outlives the containers that it is mounted into.
        suspect = f"folder {folder.name} {owner.task_instance_id}"
        if (
            self._due(suspect, now, counts)
            and not left
            and (why := self._still(key, owner, holding))
        ):
            self._remove_folder(folder, owner, why, counts)

    def _due(self, suspect: str, now: float, counts: Counts) -> bool:
        counts.suspects += 1
        # A dry run changes nothing, so one look is enough to tell what there is.
        return self.sightings.due(suspect, now) or self.dry_run

    def _still(self, key: TaskKey, holder: TaskTry, holding: Holding) -> str | None:
        """Why it is lost, asked right before it is removed: the first answer may be minutes old."""
        owner = scratch.read_owner(holding.folder) if holding.folder else None
        return why_orphan(self.api.find([key]).get(key), holder, owner)

    def _remove_container(self, container: Container, why: str, counts: Counts) -> bool:
        """Whether it is gone, by this reaper or by somebody else."""
        if not self.dry_run:
            try:
                if container.running:
                    # Removed by force, whether it stops or not.
                    with contextlib.suppress(EngineError):
                        self.engine.once(lambda client: client.stop(container.id, GRACE_S))
                self.engine.once(lambda client: client.remove(container.id))
            except NoSuchThingError:
                return True
            except EngineError as error:
                if error.status == _CONFLICT:
                    return True
                counts.failed += 1
                self.report.once(container.id, f"Cannot remove {container.name}: {error}")
                return False
        counts.removed_containers += 1
        self.report.removed(
            "container", f"{container.id[:12]} ({container.name})", why, container.task
        )
        return True

    def _remove_folder(self, folder: Path, owner: TaskTry | None, why: str, counts: Counts) -> None:
        name = folder.name
        if not self.dry_run:
            try:
                if not folder.name.startswith(scratch.WITHDRAWN):
                    withdrawn = scratch.withdraw(folder, owner)
                    if withdrawn is None:
                        return
                    folder = withdrawn
                scratch.remove(folder)
            except (OSError, subprocess.SubprocessError) as error:
                counts.failed += 1
                self.report.once(str(folder), f"Cannot remove {folder}: {error}")
                return
        counts.removed_folders += 1
        self.report.removed("scratch folder", name, why, owner)

    def _crumbs(self, used: set[str], counts: Counts) -> None:
        """Folders half made, or half removed by a process that was killed at it."""
        for folder in scratch.folders(self.root):
            withdrawn = folder.name.startswith(scratch.WITHDRAWN)
            if not withdrawn and (
                not scratch.is_key(folder.name)
                or folder.name in used
                or scratch.read_owner(folder) is not None
                or not _older_than_a_day(folder)
            ):
                continue
            if self._due(f"crumb {folder.name}", time.monotonic(), counts):
                self._remove_folder(folder, None, "it is what a killed process left", counts)


def _sound(task: TaskTry) -> bool:
    """Whether labels, which anybody can write, name a task that Airflow can be asked about."""
    try:
        scratch.key(task)
    except ValueError:
        return False
    return TaskKey.of(task).askable


def _older_than_a_day(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > _DAY_S
    except OSError:
        return False
