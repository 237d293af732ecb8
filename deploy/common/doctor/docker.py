"""Checks of the Docker engine: whether one answers, and whether it is as the cluster needs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.common import shell
from deploy.common.doctor import folders
from deploy.common.doctor.account import name_of
from deploy.common.doctor.finding import Answer, ok, warn, wrong
from deploy.common.errors import UnavailableError
from deploy.common.ports import holder, is_free

OLDEST = (20, 10)
OLDEST_COMPOSE = (2, 24)
_ANSWER_S = 1.2
_PROJECT = "com.docker.compose.project"
_NO_ENGINE = "no engine answers, so this is not looked at"


class Engine:
    """What the engine says of itself; it is asked once, by whoever of its checks comes first.

    :param variables: the environment that `docker` gets.
    :param socket: where an engine may answer as well.
    """

    def __init__(self, variables: Mapping[str, str], socket: Path | None = None) -> None:
        # Packages, and services of systemd, have an environment with little in it.
        self.variables = {"HOME": "/nonexistent", **variables}
        self.socket = socket
        # Why there is none, in the client's words; and whether it only takes too long to say.
        self.fault = ""
        self.is_slow = False
        self._options: list[str] = []
        self._info: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def info(self) -> dict[str, Any]:
        """What `docker info` tells; empty if no engine answers in time."""
        with self._lock:
            if not self._info and not self.fault:
                try:
                    self._ask()
                except UnavailableError as error:
                    self.fault, self.is_slow = str(error), True
            return self._info

    def run(self, *words: str) -> shell.Done:
        return shell.run(
            ["docker", *self._options, *words], environment=self.variables, seconds=_ANSWER_S
        )

    def _ask(self) -> None:
        if shutil.which("docker", path=self.variables.get("PATH")) is None:
            self.fault = "docker is not installed"
            return
        for socket in (None, self.socket) if self.socket else (None,):
            self._options = ["--host", f"unix://{socket}"] if socket else []
            done = self.run("info", "--format", "{{json .}}")
            try:
                found = json.loads(done.stdout)
            except ValueError:
                found = {}
            if found.get("ServerVersion"):
                self._info = found
                return
            self.fault = self.fault or shell.end_of(done.stderr, 1) or "docker says nothing of it"


def engine(asked: Engine, no_engine: Answer) -> Answer:
    """Whether an engine answers, of a version that is known to do.

    :param no_engine: what it means if none does.
    """
    info = asked.info
    if not info:
        if "permission denied" in asked.fault.lower():
            name = name_of(os.geteuid())
            return wrong(
                f"{name} may not use the Docker engine.",
                f"Type this, and log in again: sudo usermod --append --groups docker {name}",
            )
        if asked.is_slow:
            return warn(
                f"The Docker engine does not answer: {asked.fault}",
                "Try again when it has less to do; `docker version` tells whether it answers.",
            )
        return no_engine
    version = str(info["ServerVersion"])
    if _numbers(version) < OLDEST:
        return wrong(
            f"The Docker engine is {version}; {'.'.join(map(str, OLDEST))} or later is needed.",
            "Upgrade it.",
        )
    return ok(f"{version}, control groups version {info.get('CgroupVersion', '1')}")


def compose(asked: Engine, missing: Answer) -> Answer:
    """Whether `docker compose` reads our files. `missing`: what it means if there is none."""
    info = asked.info
    if not info:
        return ok(_NO_ENGINE)
    plugins = info.get("ClientInfo", {}).get("Plugins") or []
    found = next((str(one.get("Version")) for one in plugins if one.get("Name") == "compose"), None)
    if found is None:
        return missing
    if _numbers(found) < OLDEST_COMPOSE:
        return wrong(
            f"docker compose is {found}; {'.'.join(map(str, OLDEST_COMPOSE))} or later is needed.",
            "Install docker-compose-plugin of Docker's own packages, or remove the old plugin.",
        )
    return ok(found)


def storage(asked: Engine) -> Answer:
    """How the engine keeps images, and how much room there is for them."""
    info = asked.info
    if not info:
        return ok(_NO_ENGINE)
    root, driver = Path(info.get("DockerRootDir") or "/"), info.get("Driver")
    if driver == "vfs":
        return warn(
            f"The engine copies the whole image for each container (storage driver vfs, {root}).",
            "Let dockerd use overlay2: its folder must be on ext4 or xfs.",
        )
    # Of an engine in a virtual machine the folder is not here.
    found = folders.room(root, 5, 0.5) if root.is_dir() else ok(str(root))
    return Answer(found.status, f"{driver}; {found.what}", found.do)


def limits(asked: Engine) -> Answer:
    """Whether the kernel holds containers to their limits; what reads hostile bytes relies on them."""
    info = asked.info
    if not info:
        return ok(_NO_ENGINE)
    named = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "CPU time"}
    unbound = [what for name, what in named.items() if info.get(name) is False]
    if unbound:
        return warn(
            f"The engine cannot limit {' and '.join(unbound)} of containers: a hostile file may take all of it.",
            "Boot with the control groups that are missing, say cgroup_enable=memory, and restart Docker.",
        )
    return ok("memory, processes and CPU time")


def live_restore(asked: Engine) -> Answer:
    """Whether containers outlive a restart of the engine."""
    info = asked.info
    if not info:
        return ok(_NO_ENGINE)
    if not info.get("LiveRestoreEnabled"):
        return warn(
            "A restart of the engine, by an upgrade say, ends all containers and what they do.",
            'Put {"live-restore": true} into /etc/docker/daemon.json, then `systemctl reload docker`.',
        )
    return ok("on")


def port(asked: Engine, number: int, address: str, project: str, other: str) -> Answer:
    """Whether the port of the UI is free, or this cluster's own.

    :param project: the name of the cluster's compose project.
    :param other: what to type for another port.
    """
    try:
        if is_free(number, address):
            return ok(f"{number} of {address} is free")
    except OSError as error:
        return wrong(
            f"This machine does not have the address {address}: {error.strerror}.",
            "Change CORPUS_API_ADDRESS.",
        )
    containers = {}
    if asked.info:
        row = f'{{{{.Label "{_PROJECT}"}}}}\t{{{{.Names}}}}'
        listed = asked.run("ps", "--filter", f"publish={number}", "--format", row).stdout
        containers = dict(line.split("\t") for line in listed.splitlines())
    if project in containers:
        return ok(f"{number} of {address} is this cluster's own")
    names = list(containers.values())
    who = f"the container {names[0]}" if names else holder(number)
    return wrong(
        f"Port {number} of {address} is held by {who or 'another program'}.",
        f"Stop that, or choose another port: {other}",
    )


def socket_folder(asked: Engine) -> Answer:
    """Whether the engine's socket is where containers mount it, or can be brought there."""
    socket = asked.socket
    where = asked.variables.get("DOCKER_HOST", "")
    if where and not where.startswith("unix://"):
        return wrong(
            f"The engine is at {where}; the cluster needs one on this machine, with a Unix socket.",
            "Type this: unset DOCKER_HOST",
        )
    if socket is None or not asked.info:
        return ok(_NO_ENGINE)
    if len(os.fsencode(socket)) > 107:
        return wrong(
            f"{socket} is too long a path for a socket (107 bytes at most).",
            "Let ENGINE_FOLDER name a shorter one.",
        )
    if not socket.exists() and os.geteuid() != 0:
        return wrong(
            f"Containers mount the folder of the engine's socket, and {socket} is not there.",
            "Type this, then try again: sudo deploy/scripts/engine.sh up",
        )
    return ok(str(socket))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
