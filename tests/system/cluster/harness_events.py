"""What the engine did with containers of tasks, recorded as it happened."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import DockerException, NotFound

# Each is on every container of a task.
LABELLED = {"label": ["corpus.run_id", "corpus.task_id", "corpus.map_index", "corpus.step"]}


@dataclass
class Seen:
    """One container of a task: who it is, what the engine said of it when it had just started."""

    id: str
    labels: dict[str, str]
    inspected: dict[str, Any] | None
    since: float
    exit_status: int | None = None
    live: bool = True

    @property
    def task(self) -> str:
        index = self.labels["corpus.map_index"]
        return self.labels["corpus.task_id"] + ("" if index == "-1" else f"[{index}]")

    @property
    def run_id(self) -> str:
        return self.labels["corpus.run_id"]

    @property
    def step(self) -> str:
        return self.labels["corpus.step"]

    @property
    def image(self) -> str:
        return str(self.inspected["Image"]) if self.inspected else ""

    def __str__(self) -> str:
        state = "live" if self.live else f"ended with {self.exit_status}"
        tried = self.labels["corpus.try_number"]
        return f"{self.id[:12]} {self.task} {self.step}, try {tried}: {state}"


@dataclass
class Watch:
    """Records the containers of all tasks on this engine, restarts of the engine included."""

    seen: dict[str, Seen] = field(default_factory=dict)
    _overlaps: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _ending: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(10)

    def of(self, run_id: str) -> list[Seen]:
        with self._lock:
            found = [one for one in self.seen.values() if one.run_id == run_id]
        return sorted(found, key=lambda one: one.since)

    def live(self, run_id: str) -> list[Seen]:
        return [one for one in self.of(run_id) if one.live]

    def overlaps(self, run_id: str) -> list[str]:
        """Containers of a run that began while another of the same task was live."""
        return self._overlaps[run_id]

    def exists(self, container: Seen) -> bool:
        """Whether the engine still has it, running or not."""
        return bool(docker.from_env().containers.list(all=True, filters={"id": container.id}))

    def _follow(self) -> None:
        while not self._ending.is_set():
            try:
                client = docker.from_env(timeout=5)
                self._resume(client)
                filters = {**LABELLED, "type": "container", "event": ["start", "die"]}
                self._stream = client.events(decode=True, filters=filters, since=self._since)
                for event in self._stream:
                    self._take(client, event)
                    if self._ending.is_set():
                        return
            except (DockerException, OSError):
                pass  # it is being restarted, or was silent for five seconds
            time.sleep(0.2)

    def _resume(self, client: docker.DockerClient) -> None:
        """What ended while nobody listened: events from before its restart an engine forgets."""
        self._since = int(time.time())
        running = {one.id: one for one in client.containers.list(filters=LABELLED)}
        for container in running.values():
            self._started(client, container.id, container.labels)
        for one in list(self.seen.values()):
            if one.live and one.id not in running:
                one.live = False

    def _take(self, client: docker.DockerClient, event: dict[str, Any]) -> None:
        labels = event["Actor"]["Attributes"]
        if event["Action"] == "start":
            self._started(client, event["id"], labels)
        elif event["id"] in self.seen:
            self.seen[event["id"]].exit_status = int(labels["exitCode"])
            self.seen[event["id"]].live = False

    def _started(self, client: docker.DockerClient, id: str, labels: dict[str, str]) -> None:
        if id in self.seen:
            return
        labels = {name: value for name, value in labels.items() if name.startswith("corpus.")}
        try:
            inspected = client.api.inspect_container(id)
        except NotFound:
            inspected = None  # gone already
        now = Seen(id, labels, inspected, time.time())
        others = [one for one in self.live(now.run_id) if one.task == now.task]
        self._overlaps[now.run_id] += [f"{now} beside {other}" for other in others]
        with self._lock:
            self.seen[id] = now
