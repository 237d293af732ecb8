"""Docker and its compose, called for one cluster."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from deploy.common.errors import ClusterError
from deploy.common.shell import end_of, run
from deploy.local.cluster.workdir import REPO, Place
from operators.containers.environment import direct_hosts

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

    @property
    def project(self) -> str:
        """The name that containers and volumes begin with."""
        return self.place.settings()["COMPOSE_PROJECT_NAME"]

    def arguments(self, *arguments: str) -> list[str]:
        command = ["docker", "compose", "--ansi", "never"]
        for file in self.place.env_files:
            command += ["--env-file", str(file)]
        for file in self.files:
            command += ["-f", str(file)]
        return [*command, *arguments]

    def run(self, *arguments: str, capture: bool = False, input: str | None = None) -> str:
        """Run to the end; its output if that is captured. Raises `ClusterError`."""
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
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "CORPUS_", "COMPOSE_"))
    }
    return {**kept, "DOCKER_CONFIG": _docker_config()}


def call(
    command: Sequence[str | Path],
    *,
    capture: bool = False,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command. Raises `ClusterError` with the end of what it said."""
    done = run(command, environment=env or environment(), folder=REPO, input=input, capture=capture)
    if done.returncode:
        words = " ".join(str(word) for word in command if "/" not in str(word))
        said = end_of(done.stderr or done.stdout or "", 15)
        raise ClusterError(f"`{words}` ended with status {done.returncode}.\n{said}".strip())
    return done.stdout or ""


def docker(*arguments: str | Path, input: str | None = None) -> str:
    """Output of a `docker` command. Raises `ClusterError`."""
    return call(["docker", *arguments], capture=True, input=input)


@cache
def _docker_config() -> str:
    """The folder with which `docker compose` is a compose that reads our files; installed if need be."""
    folder = _engine("docker-config")
    done = run(
        ["docker", "compose", "version", "--short"],
        environment={**os.environ, "DOCKER_CONFIG": folder},
    )
    found = re.match(r"v?(\d+)\.(\d+)", done.stdout.strip())
    if not found or tuple(map(int, found.groups())) < OLDEST:
        raise ClusterError(
            f"docker compose is {done.stdout.strip() or 'missing'}; {OLDEST[0]}.{OLDEST[1]} or later is needed.\n"
            "Remove the old plugin, and `make cluster-up` installs a newer one for itself."
        )
    return folder


def proxy_exceptions() -> str:
    """What Docker's own configuration lets pass by its proxies, which it gives to every container.

    The compose file's list stands instead of that one in containers, so it has to hold it.
    """
    try:
        read = json.loads(Path(_docker_config(), "config.json").read_text())
        said = [one.get("noProxy", "") for one in read.get("proxies", {}).values()]
    except (OSError, ValueError, AttributeError):
        # There is none, or it is the docker command's to complain of.
        return ""
    return ",".join(dict.fromkeys(direct_hosts(*said)))


def start_engine() -> None:
    """Start the machine's engine if none answers. Raises `ClusterError`."""
    _engine("up")


def _engine(verb: str) -> str:
    done = run(["sh", REPO / "deploy" / "scripts" / "engine.sh", verb])
    if done.returncode:
        said = end_of(done.stdout + done.stderr, 15)
        raise ClusterError(f"There is no Docker engine for the cluster.\n{said}".strip())
    return done.stdout.strip()
