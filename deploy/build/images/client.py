"""The docker client that builds, and what it knows of images."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.common.errors import NoClientError
from deploy.common.shell import Done, run

# A client of this major version or newer leaves building to its plugin buildx.
_BUILDX = 23


@dataclass(frozen=True)
class Layer:
    """A layer as `docker history` tells of it: size in bytes, and the instruction that made it."""

    size: int
    made_by: str


@dataclass(frozen=True)
class Client:
    """A `docker` that has BuildKit."""

    path: str

    @classmethod
    def find(cls) -> Client:
        """The first on PATH that can build: several may be there, and not each has its plugin."""
        tried = []
        for folder in os.get_exec_path():
            path = Path(folder) / "docker"
            if not os.access(path, os.X_OK):
                continue
            client = cls(str(path))
            if client._builds():
                return client
            tried.append(client.path)
        raise NoClientError(
            f"{', '.join(tried)} cannot build: install docker-buildx."
            if tried
            else "There is no docker client: run deploy/scripts/engine.sh up."
        )

    def _builds(self) -> bool:
        # "Docker version 20.10.24+dfsg1, build 297e128"
        words = self._call("--version").stdout.split()
        major = words[2].split(".")[0] if len(words) > 2 else ""
        if major.isdigit() and int(major) < _BUILDX:
            return True
        return self._call("buildx", "version").returncode == 0

    def reaches_engine(self) -> bool:
        """Whether an engine answers."""
        return self._call("version", "--format", "{{.Server.Version}}").returncode == 0

    def image(self, name: str) -> dict[str, Any] | None:
        """What `docker image inspect` tells of an image; None if it is not on this machine."""
        found = self._call("image", "inspect", name)
        return json.loads(found.stdout)[0] if found.returncode == 0 else None

    def layers(self, name: str) -> list[Layer]:
        """Layers of an image that hold any bytes, the newest first."""
        told = self._call(
            "history", "--no-trunc", "--human=false", "--format", "{{json .}}", name
        ).stdout
        rows = [json.loads(line) for line in told.splitlines()]
        return [Layer(int(row["Size"]), row["CreatedBy"]) for row in rows if int(row["Size"])]

    def pull(self, name: str) -> bool:
        """Bring an image from its registry; False if that fails."""
        return self._call("pull", "--quiet", name).returncode == 0

    def remove(self, image: str) -> None:
        """Remove an image that has no tag and no container; any other stays."""
        self._call("image", "rm", image)

    def _call(self, *arguments: str) -> Done:
        return run([self.path, *arguments], seconds=600)
