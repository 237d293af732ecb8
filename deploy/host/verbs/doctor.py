"""`doctor`: what of this machine, its environment and the settings would get in the way of the cluster's containers."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from deploy.common.doctor import debian, docker, files, folders, machine, report
from deploy.common.doctor.docker import Engine
from deploy.common.doctor.finding import Answer, Check, Finding, examine, ok, warn, wrong
from deploy.common.env_file import read_env
from deploy.host import output
from deploy.host.settings import Compose, Settings

HELP = "say what of this machine, environment and settings would get in the way"

# Whom the containers run as.
UID = 50000
_CORPUS_SETTINGS = "/etc/corpus-airflow"
# ${NAME}, ${NAME:-default} in a compose file
_READ = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")


def options(parser: ArgumentParser) -> None:
    output.options(parser)


def run(settings: Settings, wanted: Namespace) -> int:
    findings = look(settings)
    show(findings, as_json=wanted.json)
    return report.status(findings)


def look(settings: Settings) -> list[Finding]:
    """Make the checks of a host; none of them takes long, whatever the engine or a disk does."""
    return examine(_plan(settings))


def show(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        print(report.as_json(findings))
    else:
        print("\n".join([*report.table(findings), "", report.summary(findings)]))


def _plan(settings: Settings) -> dict[str, Check]:
    compose = settings.compose
    common: dict[str, Check] = {
        "memory": partial(machine.memory, 1, "a task"),
        "clock": partial(machine.clock, Path(__file__), settings.corpus.folder),
        "keeper of the clock": machine.kept_clock,
        "packages": debian.apt,
        "disk of releases": partial(folders.room, settings.releases.folder, 0.5, 0.05),
        "disk of logs": partial(folders.room, settings.logs.folder, 1, 0.1),
        "disk of scratch": partial(folders.room, settings.scratch.folder, 1, 0.1),
        "temporary files": partial(folders.temporary, os.environ, 0.5, 0.02),
        "corpus settings": lambda: files.settings(_toml(compose), UID),
    }
    if not any(file.is_file() for file in compose.files):
        # Neither do the periodic jobs need an engine then.
        none = ok(f"no compose file {compose.file}, so no container of the cluster runs here")
        return {**common, "engine": lambda: none}
    engine = Engine(os.environ)
    away = wrong(
        "No Docker engine answers, and a compose file is here.",
        "Start it: systemctl start docker. If there is none: apt-get install docker.io",
    )
    no_compose = wrong(
        "There is no `docker compose`, and a compose file is here.",
        "Install docker-compose-plugin, of Docker's own packages.",
    )
    return {
        **common,
        "compose files": partial(_compose_files, compose),
        "variables": partial(_variables, compose),
        "engine": partial(docker.engine, engine, away),
        "compose": partial(docker.compose, engine, no_compose),
        "images": partial(docker.storage, engine),
        "container limits": partial(docker.limits, engine),
        "live-restore": partial(docker.live_restore, engine),
    }


def _compose_files(compose: Compose) -> Answer:
    named = [*compose.files, *([Path(compose.env_file)] if compose.env_file else [])]
    for file in named:
        if not file.is_file():
            return wrong(
                f"{file} is missing.",
                "Put it there (/usr/share/doc/corpus-airflow/examples has one), or change compose.file or "
                "compose.env_file in host.toml.",
            )
    return ok(", ".join(map(str, named)))


def _variables(compose: Compose) -> Answer:
    """Whether this shell has variables that would win over the file that the site has written."""
    read = {name for file in compose.files if file.is_file() for name in _names(file)}
    said = _site(compose)
    winning = [n for n in sorted(read & os.environ.keys()) if os.environ[n] != said.get(n)]
    if winning:
        return warn(
            f"Variables of this shell win over {compose.env_file or 'the defaults of the compose file'}: "
            f"{', '.join(winning)}. No timer has them.",
            f"Type this: unset {' '.join(winning)}",
        )
    return ok("none of this shell's wins over what the site has written")


def _names(file: Path) -> list[str]:
    return _READ.findall(file.read_text(encoding="utf-8"))


def _site(compose: Compose) -> dict[str, str]:
    return read_env(Path(compose.env_file)) if compose.env_file else {}


def _toml(compose: Compose) -> Iterator[Path]:
    folder = Path(_site(compose).get("CORPUS_SETTINGS", _CORPUS_SETTINGS))
    yield folder / "corpus.toml"
    yield from sorted((folder / "conf.d").glob("*.toml"))
