"""The containers of one try of a task: found again, made, watched to their end, and removed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.errors import BadSettingError, PassingFaultError
from operators.containers.client import Client, Output
from operators.containers.engine import Engine, is_away
from operators.containers.image_ids import ImageIds
from operators.containers.labels import IMAGE, SCRATCH, STEP, WORK
from operators.containers.refusals import refusals
from operators.containers.scratch import Scratch
from operators.containers.spec import ENGINES, GRACE_S, Spec
from operators.errors import EngineError, NoSuchThingError
from operators.task_log import TaskLog
from operators.task_try import TaskTry

_STOPPED = 128 + 15
_WAIT_S = 5
_AT_ONCE_S = 0.5


@dataclass(frozen=True)
class Ended:
    """How a container ended. An exit status of 128 + n stands for signal n."""

    exit_status: int
    out_of_memory: bool = False


class TaskContainers:
    """Runs the steps of a task in containers, one at a time, and never the same work twice at once.

    A context manager: it takes the task over from previous tries, and in the end leaves neither a
    container nor the scratch folder. If a later try has taken the task over by then, because this one
    lost touch with Airflow for a while, both belong to that one and stay.

    :param say: takes a line for the task's log.
    :param max_lines: lines of a container that are shown; the rest is counted.
    :param pull: pulls an image that the engine does not have; without it that is an error.
    :param images: names of the images that the task will run.
    :param work: what else tells its work. If the work or an image changed since the previous try, that
        try is discarded.
    """

    def __init__(
        self,
        engine: Engine,
        scratch: Scratch,
        *,
        say: Callable[[str], object],
        max_lines: int,
        pull: Callable[[str], object] | None = None,
        images: Sequence[str] = (),
        work: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.scratch = scratch
        self.task = scratch.task
        self.say = say
        self.max_lines = max_lines
        self.images = images
        self.work = work
        self.stopped = False
        self._output: Output | None = None
        self._unreadable = False
        self._found: dict[str, dict[str, Any]] = {}
        self._made = False
        self._ids = ImageIds(self._ask, engine.url, say, pull)

    def __enter__(self) -> TaskContainers:
        told = [*map(self.image, self.images), *self.work]
        work = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        if self.scratch.continues(work):
            # A previous try that is not dead makes no container any more once this one has the folder.
            self.scratch.claim(work)
            self._find(adopt=True)
        else:
            # Before the folder is claimed, which empties it of what they work on.
            self._find(adopt=False)
            self.scratch.claim(work)
        return self

    def __exit__(self, *_: object) -> None:
        if (self._found or self._made) and (problem := self._remove_all()):
            self.say(f"Its containers are left to the reaper: {problem}")
        try:
            self.scratch.release()
        except (OSError, subprocess.SubprocessError) as error:
            # What the task has done is done.
            self.say(f"Its folder is left to the reaper: {error}")

    def _find(self, adopt: bool) -> None:
        """Look for what previous tries left; what is of another generation is stopped and removed.

        Without `adopt` everything is, for what a container works on is not there any more.
        """
        for container in self._ask(self._of_the_task):
            owner = TaskTry.from_labels(container["Labels"])
            step = container["Labels"].get(STEP, "")
            ours = owner is not None and owner.generation == self.task.generation
            if adopt and ours and step not in self._found:
                self._found[step] = container
            else:
                self.say(f"Removing container {container['Id'][:12]} of an earlier attempt.")
                self._ask(functools.partial(_end, container=container["Id"]))

    def image(self, name: str) -> str:
        """The digest by which the engine knows an image. Raises `PassingFaultError` if it has none."""
        return self._ids.of(name)

    def run(self, step: str, spec: Spec) -> Ended:
        """Run a container to its end, or continue with the one that a previous try has started.

        It is removed when this returns or raises, unless a later try has it by then.
        """
        sockets = (*ENGINES, *self.engine.client.urls)
        if any(bind.shows(url) for bind in spec.binds for url in sockets):
            raise BadSettingError(
                "no container sees the socket of the Docker engine: it is root on the host."
            )
        log = TaskLog(self.say, max_lines=self.max_lines)
        began = time.monotonic()
        container: str | None = None
        try:
            container = self._adopted(step, spec) or self._begun(step, spec)
            self._watch(container, log)
            ended = self._ended(container)
        except NoSuchThingError as error:
            if self.stopped:
                return Ended(_STOPPED)
            raise PassingFaultError(
                f"the container of {step!r} was removed from outside."
            ) from error
        finally:
            log.end()
            if container:
                self._discard(container)
        self.say(
            f"{step}: exit status {ended.exit_status} after {time.monotonic() - began:.1f} s, "
            f"{log.lines:,} lines."
        )
        return ended

    def stop(self) -> None:
        """End what runs; from a signal handler, which may have interrupted any use of the client.

        Nothing is said: a log is locked while a line is written, and this may be in the middle of one.
        """
        self.stopped = True
        if self._output:
            self._output.cut()
        # First, since Airflow may lose its patience: a task that is cleared while it runs is of the same generation.
        self.scratch.give_up()
        self._remove_all()

    def _remove_all(self) -> Exception | None:
        """What kept them from being removed, if anything did."""
        if not self.scratch.owned():
            return None
        # Airflow's patience ends soon after; an engine that is just restarted is back by then.
        until = time.monotonic() + GRACE_S
        while True:
            try:
                for container in self._of_the_task(self.engine.client):
                    _end(self.engine.client, container["Id"])
                return None
            except Exception as error:
                if not is_away(error) or time.monotonic() > until:
                    return error
                time.sleep(0.2)

    def _adopted(self, step: str, spec: Spec) -> str | None:
        """Return the container that a previous try has started for this step, if it did not fail."""
        container = self._found.pop(step, None)
        if container is None:
            return None
        found: str = container["Id"]
        state = self._ask(lambda client: client.container(found))["State"]
        failed = not state["Running"] and state["ExitCode"] != 0
        if container["Labels"].get(WORK) != spec.digest or failed:
            self._ask(lambda client: _end(client, found))
            return None
        owner = TaskTry.from_labels(container["Labels"])
        attempt = f" of attempt {owner.try_number}" if owner else ""
        self.say(f"Going on with container {found[:12]}{attempt}.")
        if state["Status"] == "created":
            self._start(found, spec)
        else:
            self._read_again(found, None)
        return found

    def _begun(self, step: str, spec: Spec) -> str:
        self.scratch.require_owned()
        labels = {
            **self.task.labels(),
            SCRATCH: str(self.scratch.root),
            STEP: step,
            WORK: spec.digest,
            IMAGE: spec.image,
        }
        config = spec.config(self.image(spec.image), labels)

        def create(client: Client) -> str:
            # The answer to an earlier request may have been lost.
            for container in self._of_the_task(client) if asked else ():
                if labels.items() <= container["Labels"].items():
                    return str(container["Id"])
            asked.append(True)
            self.scratch.require_owned()
            return client.create(config)

        asked: list[bool] = []
        self.scratch.forget(step)
        self._made = True
        with refusals(spec):
            container: str = self._ask(create)
        if not self.scratch.owned():
            # Who took the task over in this moment may not have seen it.
            self._ask(lambda client: _end(client, container))
        self.scratch.require_owned()
        self._start(container, spec)
        return container

    def _start(self, container: str, spec: Spec) -> None:
        """Start a container; its output comes from an attachment, which no bound of a log cuts."""
        self._output = self._ask(lambda client: client.attach(container))
        if not self.stopped:
            with refusals(spec):
                self._ask(lambda client: client.start(container))

    def _watch(self, container: str, log: TaskLog) -> None:
        """Write a container's output until it has ended, whatever happens to the engine meanwhile."""
        since: float | None = None
        while not self.stopped:
            for stream, chunk in _until_broken(self._output):
                log.feed(chunk, stream)
                since = time.time()
            silent = time.monotonic()
            try:
                self.engine.client.wait(container, _WAIT_S)
                # If it continued after its output had ended, the connection to it broke.
                if time.monotonic() - silent < _AT_ONCE_S:
                    return
            except Exception as error:
                if not is_away(error):
                    raise
            self._read_again(container, since)

    def _read_again(self, container: str, since: float | None) -> None:
        """Have the output of a container from the log that the engine keeps."""
        self._output = None
        try:
            self._output = self._ask(lambda client: client.logs(container, since))
        except NoSuchThingError:
            raise
        except EngineError as error:
            if not self._unreadable:
                self.say(f"Its output cannot be read again: {error}")
            self._unreadable = True

    def _ended(self, container: str) -> Ended:
        if self.stopped:
            return Ended(_STOPPED)
        state = self._ask(lambda client: client.container(container))["State"]
        return Ended(state["ExitCode"], state["OOMKilled"])

    def _discard(self, container: str) -> None:
        if not self.scratch.owned():
            return
        try:
            _end(self.engine.client, container)
            self._made = False
        except Exception as error:
            self.say(f"Container {container[:12]} is left to the reaper: {error}")

    def _of_the_task(self, client: Client) -> list[dict[str, Any]]:
        return client.containers([*self.task.filters(), f"{SCRATCH}={self.scratch.root}"])

    def _ask(self, question: Callable[[Client], Any]) -> Any:
        return self.engine.ask(question, lambda: self.stopped)


def _until_broken(output: Output | None) -> Iterator[tuple[int, bytes]]:
    """Output as it comes, to its end or until the engine goes away."""
    try:
        yield from output or ()
    except Exception as error:
        if not is_away(error):
            raise


def _end(client: Client, container: str) -> None:
    """Stop and remove a container that may have ended, or be gone, already."""
    with contextlib.suppress(EngineError):
        client.stop(container, GRACE_S)
    try:
        client.remove(container)
    except EngineError as error:
        # Gone, or somebody else is about it.
        if error.status not in (404, 409):
            raise
