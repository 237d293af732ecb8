"""This host's Docker engine, by its client; many hosts that have the package have none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.host.errors import BadInput, Unavailable
from deploy.host.settings import Compose

# An engine that does not answer a question within so many seconds counts as away.
_ANSWER_S = 30


@dataclass(frozen=True)
class Container:
    """A running container of the compose project; `status` as `docker ps` has it."""

    id: str
    name: str
    service: str
    status: str


def ask(*arguments: str, seconds: float = _ANSWER_S) -> subprocess.CompletedProcess[str]:
    """Run `docker`; whatever it answers is the caller's to judge. Raises `Unavailable`."""
    return call(["docker", *arguments], seconds=seconds)


def answers() -> bool:
    try:
        return ask("version", "--format", "{{.Server.Version}}").returncode == 0
    except Unavailable:
        return False


def has_image(name: str) -> bool:
    return ask("image", "inspect", "--format", "{{.Id}}", name).returncode == 0


def containers(project: str) -> list[Container]:
    """Those of a compose project that run, by name. Raises `Unavailable`."""
    row = '{{.ID}}\t{{.Names}}\t{{.Label "com.docker.compose.service"}}\t{{.Status}}'
    done = ask("ps", "--filter", f"label=com.docker.compose.project={project}", "--format", row)
    if done.returncode:
        raise Unavailable(f"Docker does not answer: {end_of(done.stderr)}")
    found = [Container(*line.split("\t", 3)) for line in done.stdout.splitlines()]
    return sorted(found, key=lambda container: container.name)


def compose_run(compose: Compose, service: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a new container of a service, to its end. Raises `BadInput`, `Unavailable`."""
    missing = [str(file) for file in compose.files if not file.is_file()]
    if missing or not compose.files:
        raise BadInput(
            f"There is no compose file {', '.join(missing)}: set compose.file, or put the site's there."
        )
    words = ["docker", "compose", "--progress", "quiet", "--project-name", compose.project]
    if compose.env_file:
        words += ["--env-file", compose.env_file]
    for file in compose.files:
        words += ["-f", str(file)]
    return call([*words, "run", "--rm", "-T", service, *command], seconds=None)


def call(words: Sequence[str], *, seconds: float | None) -> subprocess.CompletedProcess[str]:
    """Run a program without input. Raises `Unavailable` where there is none, or it takes longer."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            # Packages are configured with an environment that has little in it.
            env={"HOME": "/root", **os.environ},
        )
    except FileNotFoundError:
        raise Unavailable(f"There is no program {words[0]} on this host.") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{words[0]} {words[1]}` did not end within {seconds:.0f} s.") from None


def end_of(output: str, lines: int = 5) -> str:
    """The last lines of what a program said."""
    return "\n".join(output.strip().splitlines()[-lines:])
