"""Which checks are made before a start, and with which bounds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.common.doctor import (
    account,
    debian,
    docker,
    files,
    folders,
    interpreter,
    machine,
    network,
)
from deploy.common.doctor.docker import Engine
from deploy.common.doctor.finding import Answer, Check, ok, warn, wrong
from deploy.common.ports import LOOPBACK
from deploy.local.cluster.workdir import REPO, UID, Place
from deploy.local.variables import remarks, unused_by_cluster

_PYTHON = (3, 11)
_OWN_PACKAGES = ("corpus", "dags", "deploy", "operators", "plugins")
# What is installed are so many files, with the cache that they come from.
_PACKAGES_FILES = 60_000
_PREFERRED_PORT = 8080


@dataclass(frozen=True)
class Start:
    """What a person is about to start, and with what: absolute folders; what is None was not said."""

    work: Path
    venv: Path
    shell: Mapping[str, str]
    samples: str | None = None
    verdicts: str | None = None
    port: int | None = None


def embedded(start: Start) -> dict[str, Check]:
    """The checks before `make run` and `make up`."""
    work, airflow = start.work, start.work / "airflow"
    written = [airflow, work / "corpus", work / "demo", work / "corpus.toml"]
    written += [airflow / name for name in ("airflow.db", "airflow.cfg", "logs", "airflow.log")]
    return {
        **_machine(start),
        "memory": partial(machine.memory, 2, "an update"),
        # With two tasks at a time 22 processes were measured, with 70 threads.
        "processes": partial(machine.processes, 100),
        "shared memory": machine.shared_memory,
        "clock": partial(machine.clock, Path(__file__), work / "corpus"),
        # Of the address of Airflow's database, and of its settings.
        "path": partial(folders.path, work, "?%"),
        **_folders(start, written),
        "loopback": network.loopback,
        "own name": network.own_name,
        "proxies": partial(network.proxies, start.shell),
        "variables": lambda: ok(" ".join(remarks(start.shell)) or "none that concern this"),
        "settings": lambda: files.settings(_toml(work)),
        **_input(start, work / "input.json"),
    }


def cluster(start: Start) -> dict[str, Check]:
    """The checks before `make cluster-up`."""
    place = Place(start.work)
    socket = Path(start.shell.get("ENGINE_FOLDER") or "/run/corpus-engine", "docker.sock")
    engine = Engine(start.shell, socket)
    written = [start.work / "demo", start.work / "engine", place.folder, place / "code"]
    written += [place / name for name in ("compose.env", "site.env", "input.json", "settings")]
    return {
        **_machine(start),
        "git": partial(debian.program, "git", "`make cluster-up`"),
        "memory": partial(machine.memory, 6, "a cluster with its tasks"),
        "clock": partial(machine.clock, Path(__file__), place.corpus),
        # Of Docker's mounts, and of the file with the variables of compose.
        "path": partial(folders.path, start.work, ":'\n"),
        **_folders(start, written),
        "loopback": network.loopback,
        "engine": partial(docker.engine, engine, _no_engine()),
        "engine's socket": partial(docker.socket_folder, engine),
        "compose": partial(docker.compose, engine, ok("none; `make cluster-up` installs its own")),
        "images": partial(docker.storage, engine),
        "container limits": partial(docker.limits, engine),
        "port": lambda: _port(start, place, engine),
        "variables": lambda: _unused(start.shell, place),
        "settings": lambda: files.settings(_toml(place / "settings")),
        **_input(start, place / "input.json", UID),
    }


PLANS: dict[str, Callable[[Start], dict[str, Check]]] = {"embedded": embedded, "cluster": cluster}


def _machine(start: Start) -> dict[str, Check]:
    installed = start.venv / "lib" / f"python{_PYTHON[0]}.{_PYTHON[1]}" / "site-packages"
    return {
        "system": machine.system,
        "python": partial(machine.python, _PYTHON),
        "packages": debian.packages,
        "python variables": partial(
            interpreter.variables, start.shell, installed, _OWN_PACKAGES, REPO
        ),
        "virtual environment": partial(interpreter.virtual_environment, start.venv),
        "user": partial(account.user, start.shell),
        "cores": machine.cores,
    }


def _folders(start: Start, written: list[Path]) -> dict[str, Check]:
    needed = (0.5, 0.1) if start.venv.is_dir() else (6, 3, _PACKAGES_FILES)
    return {
        # No virtual environment can be made there, and lists of folders have colons.
        "checkout": partial(folders.path, REPO, ":"),
        "work folder": partial(folders.usable, start.work),
        "owner": partial(folders.ours, written, start.work),
        "programs": partial(folders.executable, start.venv),
        "disk of work": partial(folders.room, start.work, 1, 0.3),
        "disk of packages": partial(folders.room, start.venv, *needed),
        "temporary files": partial(folders.temporary, start.shell, 0.5, 0.05),
    }


def _input(start: Start, record: Path, reader: int | None = None) -> dict[str, Check]:
    return {
        "samples": partial(files.place, "samples", start.samples, record, reader),
        "verdicts": partial(files.place, "verdicts", start.verdicts, record, reader),
    }


def _toml(folder: Path) -> Iterator[Path]:
    yield folder / "corpus.toml"
    yield from sorted((folder / "conf.d").glob("*.toml"))


def _no_engine() -> Answer:
    if os.geteuid() == 0:
        return ok("none answers; `make cluster-up` installs and starts one")
    return wrong(
        "No Docker engine answers.",
        "Type this, and log in again: sudo deploy/scripts/engine.sh up && sudo usermod --append --groups docker $USER",
    )


def _port(start: Start, place: Place, engine: Engine) -> Answer:
    """The port that the cluster has, or is to get."""
    chosen, own = place.settings(), place.own()
    said = own.get("CORPUS_API_PORT") or start.port or chosen.get("CORPUS_API_PORT")
    address = own.get("CORPUS_API_ADDRESS") or LOOPBACK
    other = "PORT=NUMBER make cluster-up"
    if "CORPUS_API_PORT" in own:
        other = f"CORPUS_API_PORT in {place / 'site.env'}"
    found = docker.port(
        engine,
        int(said or _PREFERRED_PORT),
        address,
        chosen.get("COMPOSE_PROJECT_NAME", "corpus"),
        other,
    )
    if found.status != "ok" and not said:
        return ok(f"{_PREFERRED_PORT} is held by another program; a free one is taken")
    return found


def _unused(shell: Mapping[str, str], place: Place) -> Answer:
    names = unused_by_cluster(shell)
    if not names:
        return ok("none that concern this")
    return warn(
        f"Variables of this shell that the cluster does not get: {', '.join(names)}.",
        f"Put what the cluster is to have into {place / 'site.env'} (docker/cluster.env.example), and unset the rest.",
    )
