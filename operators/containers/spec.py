"""What a container is made of. It may do nothing that it was not given here.

docs/operate/security.md says of each limit why it is there; a test looks for all of them in a container that
runs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators.containers.environment import no_proxy
from operators.settings import DockerSettings

# Airflow sends KILL five seconds after TERM; the container has to be gone by then.
GRACE_S = 3
# Sockets of engines, where they usually are on a host. A worker may have one elsewhere.
ENGINES = tuple(
    f"unix://{run}/{socket}"
    for run in ("/run", "/var/run")
    for socket in ("docker.sock", "containerd/containerd.sock", "docker/containerd/containerd.sock",
                   "podman/podman.sock", "crio/crio.sock")
)  # fmt: skip
_FILES = 16_384
_LOG_OPTIONS = {
    "local": {"max-size": "10m", "max-file": "2", "compress": "false"},
    "json-file": {"max-size": "10m", "max-file": "2"},
    "": {},
}


@dataclass(frozen=True)
class Bind:
    """A file or folder of the host in the container, which is not made where it does not exist."""

    source: str
    target: str
    writable: bool = False

    def shows(self, url: str) -> bool:
        """Whether the socket at this URL is to be seen in it, `unix:///run/docker.sock` say."""
        if not url.startswith("unix://"):
            return False
        socket = Path(url.removeprefix("unix://"))
        source = Path(self.source)
        ways = {socket, socket.resolve()}
        return any(
            way.is_relative_to(place) for way in ways for place in (source, source.resolve())
        )

    def mount(self) -> dict[str, Any]:
        return {
            "Type": "bind",
            "Source": self.source,
            "Target": self.target,
            "ReadOnly": not self.writable,
            # What is mounted on the host later does not appear in the container, nor the other way.
            "BindOptions": {"Propagation": "rprivate"},
        }


@dataclass(frozen=True)
class Limits:
    """What a container may use, as in the settings of `docker`."""

    memory_bytes: int
    cpus: float
    cpuset: str
    pids: int
    tmpfs_bytes: int

    @classmethod
    def of(cls, docker: DockerSettings) -> Limits:
        return cls(docker.memory_bytes, docker.cpus, docker.cpuset, docker.pids, docker.tmpfs_bytes)


@dataclass(frozen=True)
class Spec:
    """One container to run.

    :param image: the image's name, as configured.
    :param user: `uid:gid`, neither of them root's.
    :param network: name of a network of the engine; `none` has nothing but a loopback of its own.
    """

    image: str
    command: Sequence[str]
    user: str
    limits: Limits
    binds: Sequence[Bind] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"
    entrypoint: Sequence[str] | None = None
    working_dir: str = "/tmp"  # noqa: S108 - the container's own, the one place that it may write to
    log_driver: str = "local"

    @property
    def digest(self) -> str:
        """Tells whether a container of an earlier try does the same work."""
        work = [self.image, list(self.command), list(self.entrypoint or ())]
        return hashlib.sha256(json.dumps(work).encode()).hexdigest()

    def config(self, image_id: str, labels: Mapping[str, str]) -> dict[str, Any]:
        """The body of the engine's request to create it."""
        return {
            "Image": image_id,
            "Cmd": list(self.command),
            **({"Entrypoint": list(self.entrypoint)} if self.entrypoint is not None else {}),
            "User": self.user,
            "WorkingDir": self.working_dir,
            "Env": [f"{name}={value}" for name, value in self._environment().items()],
            "Labels": dict(labels),
            "StopTimeout": GRACE_S,
            "HostConfig": self._host_config(),
        }

    def _environment(self) -> dict[str, str]:
        # An image or a DAG may name a proxy: what the worker reaches without one, its containers do, too.
        return {**self.environment, **no_proxy(self.environment, os.environ)}

    def _host_config(self) -> dict[str, Any]:
        limits = self.limits
        return {
            "Mounts": [bind.mount() for bind in self.binds],
            "NetworkMode": self.network,
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={limits.tmpfs_bytes},mode=1777"},  # noqa: S108
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": False,
            "PidsLimit": limits.pids,
            "Memory": limits.memory_bytes,
            # Memory and swap together: no swap.
            "MemorySwap": limits.memory_bytes,
            # A quota, where `NanoCpus` refuses more processors than the host has.
            "CpuPeriod": 100_000,
            "CpuQuota": round(limits.cpus * 100_000),
            "CpusetCpus": limits.cpuset,
            "Init": True,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Ulimits": [
                {"Name": "nofile", "Soft": _FILES, "Hard": _FILES},
                # A core file would hold what the process read, and fill the disk.
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "LogConfig": {"Type": self.log_driver, "Config": _LOG_OPTIONS[self.log_driver]},
            "RestartPolicy": {"Name": "no"},
        }
