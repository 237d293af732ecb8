"""This host's Docker engine, by its client; many hosts that have the package have none."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.common import shell
from deploy.common.errors import BadInputError, UnavailableError
from deploy.host.settings import Compose

# An engine that does not answer a question within so many seconds counts as away.
_ANSWER_S = 30


@dataclass(frozen=True)
class Container:
    """A running container of the compose project.

    `health` is empty where it has no check; `folders` are those of the host that it mounts, by their place inside.
    """

    id: str
    name: str
    service: str
    health: str
    started: datetime
    folders: dict[str, Path]

    @classmethod
    def of(cls, told: dict[str, Any]) -> Container:
        """One of `docker inspect`."""
        return cls(
            told["Id"][:12],
            told["Name"].removeprefix("/"),
            told["Config"]["Labels"]["com.docker.compose.service"],
            told["State"].get("Health", {}).get("Status", ""),
            datetime.fromisoformat(told["State"]["StartedAt"]),
            {mount["Destination"]: Path(mount["Source"]) for mount in told["Mounts"]},
        )


def ask(*arguments: str, seconds: float = _ANSWER_S) -> shell.Done:
    """Run `docker`; whatever it answers is the caller's to judge. Raises `UnavailableError`."""
    return call(["docker", *arguments], seconds=seconds)


def answers() -> bool:
    try:
        return ask("version", "--format", "{{.Server.Version}}").returncode == 0
    except UnavailableError:
        return False


def has_image(name: str) -> bool:
    return ask("image", "inspect", "--format", "{{.Id}}", name).returncode == 0


def containers(project: str) -> list[Container]:
    """Those of a compose project that run, by name. Raises `UnavailableError`."""
    found = ask("ps", "--quiet", "--filter", f"label=com.docker.compose.project={project}")
    if found.returncode:
        raise UnavailableError(f"Docker does not answer: {shell.end_of(found.stderr)}")
    ids = found.stdout.split()
    # One that has ended since is missing from the answer.
    told = json.loads(ask("inspect", *ids).stdout or "[]") if ids else []
    return sorted(map(Container.of, told), key=lambda container: container.name)


def compose_run(compose: Compose, service: str, *command: str) -> shell.Done:
    """Run a command in a new container of a service, to its end.

    What the file has it wait for may be down on purpose, and is not for a command to start. Raises `BadInputError`, `UnavailableError`.
    """
    missing = [str(file) for file in compose.files if not file.is_file()]
    if missing or not compose.files:
        raise BadInputError(
            f"There is no compose file {', '.join(missing)}: set compose.file, or put the site's there."
        )
    words = ["docker", "compose", "--progress", "quiet", "--project-name", compose.project]
    if compose.env_file:
        words += ["--env-file", compose.env_file]
    for file in compose.files:
        words += ["-f", str(file)]
    return call([*words, "run", "--rm", "-T", "--no-deps", service, *command], seconds=None)


def call(words: Sequence[str], *, seconds: float | None) -> shell.Done:
    """Run a program without input. Raises `UnavailableError` if it is missing or takes longer."""
    # Packages are configured with an environment that has little in it.
    return shell.run(words, environment={"HOME": "/root", **os.environ}, seconds=seconds)
