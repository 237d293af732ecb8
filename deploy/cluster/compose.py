"""Docker and its compose, called for one cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from deploy.cluster.errors import ClusterError
from deploy.cluster.place import REPO, Place

FILES = [REPO / "docker" / "compose.yaml", REPO / "docker" / "compose.laptop.yaml"]
# `env_file` with `required` needs it.
OLDEST = (2, 24)


@dataclass(frozen=True)
class Container:
    """A container of the cluster, as `compose ps` has it."""

    id: str
    name: str
    service: str
    state: str
    health: str
    status: str


class Compose:
    """`docker compose` with the files, the settings and the project of one cluster."""

    def __init__(self, place: Place, files: Sequence[Path] = FILES) -> None:
        self.place = place
        self.files = files

    def arguments(self, *arguments: str) -> list[str]:
        command = [*compose_command(), "--ansi", "never"]
        for file in self.place.env_files:
            command += ["--env-file", str(file)]
        for file in self.files:
            command += ["-f", str(file)]
        return [*command, *arguments]

    def run(self, *arguments: str, capture: bool = False, input: str | None = None) -> str:
        """Run to the end; its output where that is captured. Raises `ClusterError`."""
        return call(self.arguments(*arguments), capture=capture, input=input)

    def ps(self) -> list[Container]:
        """All containers of the services, stopped ones too."""
        output = self.run("ps", "--all", "--format", "json", capture=True)
        found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        return sorted(
            (
                Container(
                    one["ID"],
                    one["Name"],
                    one["Service"],
                    one["State"],
                    one["Health"],
                    one["Status"],
                )
                for one in found
            ),
            key=lambda container: container.name,
        )

    def config(self, *services: str) -> dict[str, Any]:
        """The files as compose understands them."""
        output = self.run("--profile", "*", "config", "--format", "json", *services, capture=True)
        rendered: dict[str, Any] = json.loads(output)
        return rendered


def environment() -> dict[str, str]:
    """This process's, without what would win over the cluster's own files."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "CORPUS_", "COMPOSE_"))
    }


def call(
    command: Sequence[str | Path],
    *,
    capture: bool = False,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command. Raises `ClusterError` with the end of what it said."""
    done = subprocess.run(
        list(map(str, command)),
        env=dict(env or environment()),
        cwd=REPO,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.PIPE if capture else None,
        text=True,
    )
    if done.returncode:
        words = " ".join(str(word) for word in command if "/" not in str(word))
        said = "\n".join((done.stderr or done.stdout or "").strip().splitlines()[-15:])
        raise ClusterError(f"`{words}` ended with status {done.returncode}.\n{said}".strip())
    return done.stdout or ""


def docker(*arguments: str | Path, input: str | None = None) -> str:
    """Output of a `docker` command. Raises `ClusterError`."""
    return call(["docker", *arguments], capture=True, input=input)


@cache
def compose_command() -> tuple[str, ...]:
    """The newest compose there is: Docker's plugin, one on the path, one beside this Python."""
    own = Path(sys.executable).with_name("docker-compose")
    candidates = [("docker", "compose"), ("docker-compose",), (str(own),)]
    for candidate in candidates:
        if shutil.which(candidate[0]) and _version(candidate) >= OLDEST:
            return candidate
    raise ClusterError(
        f"There is no docker compose of version {OLDEST[0]}.{OLDEST[1]} or later.\n"
        "`make cluster-up` installs one; by hand: pip install --require-hashes -r requirements/cluster.lock"
    )


def _version(command: Sequence[str]) -> tuple[int, ...]:
    done = subprocess.run(
        [*command, "version", "--short"], capture_output=True, text=True, check=False
    )
    found = re.match(r"v?(\d+)\.(\d+)", done.stdout.strip())
    return tuple(map(int, found.groups())) if found and done.returncode == 0 else (0, 0)
