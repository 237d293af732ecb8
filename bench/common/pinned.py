"""One update's shards, done as tasks by workers that have a core each."""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.wheels import REPO, Sample
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.staging import Update, existing

sys.path.append(str(REPO))

from operators.containers.scratch import user_of
from operators.runners.command import Call, Value
from operators.runners.docker import DockerRunner
from operators.runners.process import ProcessRunner
from operators.runners.runner import Runner
from operators.settings import WorkerSettings
from operators.task_try import TaskTry

UPDATE = "bench"


@dataclass(frozen=True)
class Task:
    """A task that was done: of which service and shard, on which core, in how many seconds."""

    service: str
    shard: str
    core: int
    seconds: float


def cores(count: int) -> list[int]:
    """The cores to pin workers to; ends the benchmark if there are fewer."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < count:
        raise SystemExit(f"{count} workers need {count} cores, and here are {len(allowed)}.")
    return allowed[:count]


def sources(folder: Path, samples: Sequence[Sample]) -> Path:
    """A folder with just these samples, as links to where they lie."""
    folder.mkdir(parents=True)
    for sample in samples:
        (folder / sample.path.name).hardlink_to(sample.path)
    return folder


class PinnedUpdate:
    """An update of an empty corpus from the files of one folder, cut for as many workers as cores.

    :param folder: where the corpus and what containers share with their task are made.
    :param runner: `process` or `docker`, as the setting; what it runs stays on its worker's core.

    The services are run as the DAG runs them; whichever worker is free takes the next shard.
    """

    def __init__(
        self, folder: Path, files: Path, feature_sets: Sequence[str], workers: int, runner: str
    ) -> None:
        corpus, scratch = folder / "corpus", folder / "scratch"
        for own in (corpus, scratch):
            own.mkdir(parents=True)
            if not os.getuid():
                # Nothing in a container is root.
                os.chown(own, *user_of(""))
        # No settings but these, whatever the machine has. What an operator overrides allows no place.
        os.environ["CORPUS_CONFIG"] = os.devnull
        os.environ["CORPUS_PLACES__ROOTS"] = json.dumps([str(files)])
        self.store = Store(corpus)
        self._overrides = {
            "sources.urls": json.dumps([str(files)]),
            "features.sets": json.dumps(list(feature_sets)),
            "shards.workers": str(workers),
        }
        # No container of another bench is taken for one of these.
        self._run_uuid = str(uuid.uuid4())
        self._settings = Settings.load(
            {"store": {"root": str(corpus)}, "sources": {"urls": [str(files)]}}
        )
        self._runs_in = runner
        self._docker = {"scratch": str(scratch)}

    def opened(self) -> Update:
        """The update, to see what is staged."""
        return existing(self.store, UPDATE)

    def collect(self, core: int) -> list[str]:
        """Begin the update; gives its shards."""
        shards: list[str] = self._run("collect", core)["shards"]
        return shards

    def each(self, service: str, shards: Sequence[str], cores: Sequence[int]) -> list[Task]:
        """Run a service on every shard, by one worker a core."""
        waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        for item in enumerate(shards):
            waiting.put(item)
        done: list[Task] = []
        errors: list[BaseException] = []

        def work(core: int) -> None:
            try:
                while not errors:
                    index, shard = waiting.get_nowait()
                    began = time.perf_counter()
                    self._run(service, core, index, shards=[shard])
                    done.append(Task(service, shard, core, time.perf_counter() - began))
            except queue.Empty:
                return
            except BaseException as error:
                errors.append(error)

        workers = [threading.Thread(target=work, args=(core,)) for core in cores]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if errors:
            raise errors[0]
        return done

    def forget_vectors(self, feature_sets: Sequence[str]) -> None:
        """Take back what `extract` has staged, so that it can be run again."""
        for name in feature_sets:
            self.store.delete(f"staging/{UPDATE}/{FEATURES_PREFIX}{name}")

    def _run(self, service: str, core: int, index: int = -1, **options: Value) -> dict[str, Any]:
        lines: list[str] = []
        call = Call(
            service,
            {"update": UPDATE, **options},
            root=self.store.url,
            overrides=self._overrides,
        )
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            result = Path(folder, "result.json")
            runner = self._runner(service, core, index)
            status = runner.run(call, result=result, on_line=lines.append)
            if status:
                raise SystemExit("\n".join([f"{service} ended with status {status}.", *lines]))
            report: dict[str, Any] = json.loads(result.read_text())["report"]
            return report

    def _runner(self, service: str, core: int, index: int) -> Runner:
        if self._runs_in == "process":
            # Inherited by all that the service starts.
            pin = ["taskset", "-c", str(core)]
            return ProcessRunner([*pin, sys.executable, "-P", "-m", "corpus"])
        workers = WorkerSettings.load({"docker": {**self._docker, "cpuset": str(core)}})
        task = TaskTry(
            dag_id="bench",
            run_id=self._run_uuid,
            task_id=service,
            map_index=index,
            try_number=1,
            run_uuid=self._run_uuid,
            task_instance_id=str(uuid.uuid4()),
            generation=0,
            host=f"core-{core}",
        )
        return DockerRunner(self._settings, workers.docker, task)
