"""Looking for secrets wherever the cluster may show them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy.local.cluster.compose import Compose, docker
from tests.system.cluster.harness import Lab
from tests.system.cluster.secrets import forms


def leaks(secrets: dict[str, str], places: Iterator[tuple[str, bytes]]) -> list[str]:
    """Which secret was found where."""
    wanted = [(name, form.encode()) for name, text in secrets.items() for form in forms(text)]
    return sorted(
        {f"{name} in {place}" for place, text in places for name, form in wanted if form in text}
    )


def places(lab: Lab) -> Iterator[tuple[str, bytes]]:
    """All that the cluster keeps, shows or says, but the files of the secrets themselves."""
    compose = lab.cluster.compose
    yield "the dump of Postgres", _inside(compose, "postgres", _DUMP)
    yield "the data of Redis", _inside(compose, "redis", "tar -c /data 2>/dev/null")
    place = lab.cluster.place
    for name in ("logs", "scratch", "code"):
        yield f"the folder {name}", folder(place / name)
    yield "the compose files as rendered", json.dumps(compose.config()).encode()
    for container in compose.ps():
        yield f"what {container.name} said", _said(container.id)
        yield f"docker inspect {container.name}", docker("inspect", container.id).encode()
        yield f"processes of {container.name}", docker("top", container.id).encode()
    for seen in lab.watch.seen.values():
        yield f"docker inspect of {seen}", json.dumps(seen.inspected).encode()


# --inserts writes values as text, and binary ones in hex.
_DUMP = (
    "PGPASSWORD=$(cat /run/secrets/postgres_password) pg_dumpall --inserts --username airflow"
    " --database airflow"
)


def folder(path: Path) -> bytes:
    """All files below a folder of the containers' user, whoever asks."""
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", "--user", "50000:50000"),
            *("--volume", f"{path}:/mnt:ro", "--entrypoint", "tar", "corpus-redis"),
            *("--create", "--directory", "/mnt", "--ignore-failed-read", "."),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what changes or goes while it is read
    ).stdout


def _inside(compose: Compose, service: str, script: str) -> bytes:
    (container,) = [one.id for one in compose.ps() if one.service == service]
    command = ["docker", "exec", container, "sh", "-c", script]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _said(container: str) -> bytes:
    done = subprocess.run(["docker", "logs", container], capture_output=True, check=True)
    return done.stdout + done.stderr
