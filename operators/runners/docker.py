"""The Docker runner: a service as containers of the engine on the worker's host."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from corpus.contract import registry
from corpus.errors import NothingNewError, PassingFaultError
from corpus.settings import CONFIG_FILE, Settings
from corpus.settings.toml import to_toml
from operators.containers.client import Client
from operators.containers.engine import Engine
from operators.containers.scratch import RESULT, Scratch, user_of
from operators.containers.spec import Bind, Limits, Spec
from operators.containers.task_containers import TaskContainers
from operators.runners.command import Call, given
from operators.runners.mounts import Places
from operators.runners.result import copy_result, read_bounded
from operators.settings import DockerSettings
from operators.task_try import TaskTry

_WORKSPACE = "/workspace"
_RESULTS = "/results"
_SPOOL = "/spool"


class DockerRunner:
    """Runs a service in the services image; one that reads hostile bytes in three steps.

    stage-in     services image: makes a workspace in the scratch folder
    run          extractor image: the service, with nothing but the workspace; no network, no secret
    stage-out    services image: checks what was staged in the workspace, and brings it into the corpus
    """

    def __init__(self, settings: Settings, docker: DockerSettings, task: TaskTry) -> None:
        self.settings = settings
        self.docker = docker
        self.task = task
        self._stopped = False
        self._containers: TaskContainers | None = None

    def run(self, call: Call, *, result: Path, on_line: Callable[[str], object]) -> int:
        docker = self.docker
        places = Places(self.settings, docker.binds, registry.get(call.service), call)
        scratch = Scratch(Path(docker.scratch), self.task, user_of(docker.user))
        engine = Engine(Client(docker.url), wait_s=docker.engine_wait_s, say=on_line)
        hostile = places.service.hostile
        containers = TaskContainers(
            engine,
            scratch,
            say=on_line,
            max_lines=docker.log_lines,
            pull=self._pull if docker.pull else None,
            images=[docker.services_image, *([docker.extractor_image] if hostile else [])],
            work=[*call.arguments(), to_toml(places.settings)],
        )
        self._containers = containers
        # A signal may have come before there was anything to stop.
        containers.stopped = self._stopped
        steps = _Steps(docker, call, places, scratch, containers)
        with containers:
            status, step = steps.sandboxed() if hostile else steps.plain()
            copy_result(scratch.path / step / RESULT, result)
            return status

    def stop(self) -> None:
        self._stopped = True
        if self._containers:
            self._containers.stop()

    def _pull(self, image: str) -> object:
        # It reads what `docker login` has left, and is loaded only for this.
        from docker import APIClient

        return APIClient(base_url=self.docker.url, version="auto").pull(image)


class _Steps:
    """The steps of one call. Each leaves an exit status, and its result in its folder of the scratch."""

    def __init__(
        self,
        docker: DockerSettings,
        call: Call,
        places: Places,
        scratch: Scratch,
        containers: TaskContainers,
    ) -> None:
        self.docker = docker
        self.call = call
        self.places = places
        self.scratch = scratch
        self.containers = containers
        self._visible = places.binds()

    def plain(self) -> tuple[int, str]:
        """Run the service in the corpus itself; return its exit status, and the step that has its result."""
        return self._trusted("run", self.call.arguments(), remote=self.places.remote), "run"

    def sandboxed(self) -> tuple[int, str]:
        """Run the service in a workspace; return the exit status and name of the last step that was run."""
        own = [self.call.service, *given(self.call.options)]
        ways = [*(["--root", self.call.root] if self.call.root else []), *self.call.sets()]
        workspace = Bind(str(self.scratch.folder("workspace")), _WORKSPACE, writable=True)
        staging_in = [*ways, "workspace", "stage-in", *own, "--to", _WORKSPACE]
        if status := self._trusted("stage-in", staging_in, workspace, remote=self.places.remote):
            return status, "stage-in"
        if status := self._sandbox(["--root", _WORKSPACE, *own], workspace):
            if status == NothingNewError.exit_status:
                # Stage-in has found work, so this would have the task skipped at a sandbox's word.
                raise PassingFaultError("the sandbox says that there is nothing to do.")
            return status, "run"
        staging_out = [*ways, "workspace", "stage-out", *own, "--from", _WORKSPACE]
        seen = Bind(workspace.source, _WORKSPACE)
        status = self._trusted("stage-out", staging_out, seen, remote=self.places.remote_root)
        return status, "stage-out"

    def _trusted(self, step: str, arguments: Sequence[str], *binds: Bind, remote: bool) -> int:
        settings = self.scratch.write("settings.toml", to_toml(self.places.settings))
        secrets = self.docker.secrets
        return self._step(
            step,
            self.docker.services_image,
            arguments,
            [
                Bind(str(settings), str(CONFIG_FILE)),
                *([Bind(secrets, str(CONFIG_FILE.with_name("conf.d")))] if secrets else []),
                *self._visible,
                *binds,
            ],
            self.docker.network if remote else "none",
        )

    def _sandbox(self, arguments: Sequence[str], workspace: Bind) -> int:
        text = to_toml(self.places.settings, archive_passwords=True, addresses=False)
        settings = self.scratch.write("sandbox.toml", text)
        # What archives are unpacked to may be more than /tmp has, which counts as memory. It is not a part
        # of the workspace, since stage-out would refuse what a killed sandbox may have left here.
        spool = Bind(str(self.scratch.folder("spool")), _SPOOL, writable=True)
        binds = [Bind(str(settings), str(CONFIG_FILE)), workspace, spool]
        return self._step(
            "run", self.docker.extractor_image, arguments, binds, "none", {"TMPDIR": _SPOOL}
        )

    def _step(
        self,
        step: str,
        image: str,
        arguments: Sequence[str],
        binds: list[Bind],
        network: str,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        if self.scratch.is_done(step):
            self.containers.say(f"Step {step!r} was done by an earlier attempt.")
            return 0
        results = self.scratch.folder(step)
        ended = self.containers.run(
            step,
            Spec(
                image=image,
                entrypoint=["corpus"],
                command=["--result", f"{_RESULTS}/{RESULT}", *arguments],
                binds=[*binds, Bind(str(results), _RESULTS, writable=True)],
                environment={**self._environment(step, image), **(environment or {})},
                network=network,
                user=":".join(map(str, self.scratch.user)),
                limits=Limits.of(self.docker),
                log_driver=self.docker.log_driver,
            ),
        )
        if ended.exit_status == 0:
            self.scratch.mark_done(step)
        # If only one process of it was killed for want of memory, the step itself has said what came of that.
        elif ended.out_of_memory and (
            ended.exit_status == 128 + signal.SIGKILL or read_bounded(results / RESULT) is None
        ):
            raise PassingFaultError(
                f"step {step!r} of {self.call.service} needed more memory than its container has "
                f"({self.docker.memory_bytes:,} bytes).",
                hint="The setting docker.memory_bytes bounds it; smaller shards need less.",
            )
        return ended.exit_status

    def _environment(self, step: str, image: str) -> dict[str, str]:
        told = {"image": self._told(image)}
        if step == "stage-out":
            told["sandbox_image"] = self._told(self.docker.extractor_image)
        return {
            "CORPUS_CONFIG": str(CONFIG_FILE),
            "CORPUS_RUN": json.dumps({**self.call.identity, **told}),
        }

    def _told(self, image: str) -> dict[str, str]:
        return {"name": image, "digest": self.containers.image(image)}
