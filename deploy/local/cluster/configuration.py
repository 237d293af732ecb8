"""What `up` chooses and writes: the variables of the compose files, and corpus.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from corpus.settings import config_files
from corpus.settings.toml import toml_value
from deploy.common.base_url import NAME, check_base_url
from deploy.common.cgroups import usable_cores
from deploy.common.errors import ClusterError
from deploy.common.ports import free_port, is_free
from deploy.local.cluster.address import origin
from deploy.local.cluster.workdir import Place
from deploy.local.input import Input, WorkInput, feeds

PREFERRED_PORT = 8080
DEFAULT_WORKERS = 2
IMAGES = ("airflow", "services", "extractor", "redis", "postgres")
# The demo has 25 files: enough for each worker to get a shard.
_DEMO_MIN_FILES = 5
_SLOTS = "AIRFLOW__CELERY__WORKER_CONCURRENCY"
_PORT = "CORPUS_API_PORT"


@dataclass(frozen=True)
class Options:
    """What a person asked for; None leaves what was chosen before, or else the default."""

    project: str | None = None
    workers: int | None = None
    port: int | None = None
    tag: str | None = None
    samples: str | None = None
    verdicts: str | None = None


@dataclass(frozen=True)
class Engine:
    """The engine that workers are given: the folder of its socket, and the group that may use it."""

    folder: Path
    gid: int


def choose(place: Place, options: Options, engine: Engine, code_digest: str) -> dict[str, str]:
    """The variables for compose.env. Raises `ClusterError` if site.env says something else.

    Also `BadInputError`, if it has an address at which Airflow could not be reached.
    """
    before, own = place.chosen(), place.own()

    def chosen(name: str, wanted: str | int | None, default: str | int) -> str:
        if name not in own:
            return str(wanted if wanted is not None else before.get(name, default))
        if wanted is not None and str(wanted) != own[name]:
            raise ClusterError(
                f"{place / 'site.env'} says {name}={own[name]}, which wins: change it there."
            )
        return own[name]

    workers = _number("CORPUS_WORKERS", chosen("CORPUS_WORKERS", options.workers, DEFAULT_WORKERS))
    # All tasks that may run at a time have a slot when one worker is away; there are as many as cores.
    others = max(1, workers - 1)
    slots = _number(_SLOTS, own.get(_SLOTS, -(-usable_cores() // others)))
    free = PREFERRED_PORT if is_free(PREFERRED_PORT) else free_port()
    port = str(_number(_PORT, chosen(_PORT, options.port, free), most=65_535))
    url = own.get(NAME) or origin({**own, _PORT: port})
    check_base_url(url)
    return {
        "COMPOSE_PROJECT_NAME": chosen("COMPOSE_PROJECT_NAME", options.project, "corpus"),
        "CORPUS_IMAGE_TAG": chosen("CORPUS_IMAGE_TAG", options.tag, "latest"),
        "CORPUS_WORKERS": str(workers),
        _PORT: port,
        "CORPUS_CODE": str(place / "code"),
        "CORPUS_CODE_DIGEST": code_digest,
        "CORPUS_SETTINGS": str(place / "settings"),
        "CORPUS_SECRETS": str(place / "secrets"),
        "CORPUS_USERS": str(place / "users"),
        "CORPUS_LOGS": str(place / "logs"),
        "CORPUS_SCRATCH": str(place / "scratch"),
        "CORPUS_DATA": str(place.corpus),
        "CORPUS_AIRFLOW_ENV": str(place / "airflow.env"),
        "CORPUS_ENGINE_FOLDER": str(engine.folder),
        "CORPUS_ENGINE_GID": str(engine.gid),
        # A person waits for `down`; what was running is tried again.
        "CORPUS_STOP_GRACE": "2m",
        NAME: url,
        _SLOTS: str(slots),
        "AIRFLOW__CORE__PARALLELISM": str(slots * others),
    }


def images(variables: Mapping[str, str]) -> dict[str, str]:
    """The whole name of each image, put together as the compose files do."""
    prefix = variables.get("CORPUS_IMAGE_PREFIX", "")
    tag = variables.get("CORPUS_IMAGE_TAG") or "latest"
    return {
        name: variables.get(f"CORPUS_{name.upper()}_IMAGE") or f"{prefix}corpus-{name}:{tag}"
        for name in IMAGES
    }


def write_corpus_toml(place: Place, options: Options) -> None:
    """Write corpus.toml, with the demo's input or a person's, unless a person has edited it.

    Raises `InputError`.
    """
    file = place / "settings" / "corpus.toml"
    (file.parent / "conf.d").mkdir(parents=True, exist_ok=True)
    variables = place.settings()
    slots = int(variables[_SLOTS]) * int(variables["CORPUS_WORKERS"])

    def render(found: Input) -> str:
        cut = {"min_files": _DEMO_MIN_FILES} if found.is_demo else {}
        tables: dict[str, dict[str, object]] = {
            "store": {"root": str(place.corpus)},
            "sources": {"urls": [found.samples] if found.samples else []},
            "shards": {"workers": slots, **cut},
        }
        lines = [
            "# Written by `make cluster-up`, and never again once you have edited it; your own settings go",
            "# into conf.d/*.toml beside it.",
        ]
        for name, table in tables.items():
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {toml_value(value, key)}" for key, value in table.items()]
        return "\n".join([*lines, "", feeds(found.verdicts)])

    own = WorkInput(file, place / "input.json", place.corpus, place.work / "demo")
    own.settle(options.samples, options.verdicts, render)
    workers = tomllib.loads(file.read_text()).get("shards", {}).get("workers")
    if workers != slots:
        print(f"  {file} says shards.workers = {workers}; for these workers it would be {slots}.")


def corpus_root(place: Place) -> str:
    """`store.root` as tasks have it: what a file of conf.d says wins. Raises `ClusterError`."""
    root = ""
    for file in config_files(place / "settings" / "corpus.toml"):
        try:
            tables = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise ClusterError(f"{file} cannot be read: {error}") from None
        root = tables.get("store", {}).get("root", root)
    return root


def _number(name: str, value: str | int, most: int | None = None) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1 or (most and number > most):
        bounds = f"from 1 to {most}" if most else "from 1 on"
        raise ClusterError(f"{name} is {value!r}; it is a number {bounds}.")
    return number
