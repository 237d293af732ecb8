"""Settings of workers: where services run. Nothing of a corpus's content depends on them.

    python -m operators.settings              show each effective value, and where it came from
    python -m operators.settings --reference  print docs/reference/settings.md

They come from the same files and the same environment as those of the corpus (corpus/settings).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from corpus.contract.version import current
from corpus.errors import BadSettingError
from corpus.settings import Settings
from corpus.settings.effective import effective
from corpus.settings.loading import config_files, load
from corpus.settings.reference import reference
from corpus.settings.section import MOST, MOST_BYTES, MOST_DAYS, Section


class DockerSettings(Section):
    url: str = Field(
        "unix:///var/run/docker.sock", description="Where the engine of the worker's host answers."
    )
    services_image: str = Field(
        "corpus-services:latest",
        description="Image of all services but those below; an id or a digest pins it. `{version}` in it is "
        "the version of the bundle that runs, so that a run ends with the images that it began with.",
    )
    extractor_image: str = Field(
        "corpus-extractor:latest",
        description="Image of what reads hostile bytes (`ingest`, `extract`); `{version}` as above.",
    )
    pull: bool = Field(False, description="Pull an image that the engine does not have.")
    scratch: str = Field(
        "/var/lib/corpus-airflow/scratch",
        description="Folder that tasks share with their containers, at the same path on the host and "
        "in the worker.",
    )
    secrets: str = Field(
        "",
        description="Folder on the host whose *.toml files the trusted steps read after the settings "
        "(keys of S3, say); the worker itself need not see it.",
    )
    binds: list[str] = Field(
        default_factory=list,
        description="More folders of the host that the trusted steps see, at the same path, writable.",
    )
    network: str = Field(
        "bridge",
        description="Network of the trusted steps where the store, a source or the verdicts are "
        "remote; all else has none.",
    )
    user: str = Field(
        "",
        description="`uid:gid` that containers run as; empty: the worker's own, or 50000:50000 if "
        "that is root.",
        pattern=r"^(\d+:\d+)?$",
    )
    memory_bytes: int = Field(
        4 * 2**30,
        ge=64 * 2**20,
        le=MOST_BYTES,
        description="Memory of one container, its /tmp included; no swap.",
    )
    cpus: float = Field(2.0, gt=0, le=1024, description="Processors' time that one container gets.")
    cpuset: str = Field("", description="Processors that containers run on (`0-3,6`); empty: all.")
    pids: int = Field(1_024, ge=16, le=2**22, description="Processes and threads of one container.")
    tmpfs_bytes: int = Field(
        1 * 2**30, ge=2**20, le=MOST_BYTES, description="Size of a container's /tmp."
    )
    host: str = Field("", description="Name of the worker's host in labels; empty: the host name.")
    log_driver: Literal["local", "json-file", ""] = Field(
        "local",
        description="Where the engine keeps a container's output (20 MB of it, at most); empty: the "
        "engine's own driver, with its own bounds.",
    )
    log_lines: int = Field(
        20_000,
        ge=1,
        le=MOST,
        description="Lines of a container that the task log shows; the rest is counted, and its end "
        "shown.",
    )
    engine_wait_s: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="Seconds that a task waits for an engine that does not answer.",
    )

    @field_validator("services_image", "extractor_image")
    @classmethod
    def _of_this_version(cls, image: str) -> str:
        if "{version}" not in image:
            # To know the version costs the start of git in a checkout.
            return image
        # A tag takes no plus sign.
        return image.replace("{version}", current().version.replace("+", "-"))


class ReaperSettings(Section):
    api_url: str = Field(
        "http://127.0.0.1:8080",
        description="Airflow's API, which is asked before anything is removed.",
    )
    api_user: str = Field("reaper", description="Airflow's user for it; the role Viewer is enough.")
    api_password_file: str = Field(
        "/run/secrets/reaper_password", description="File that holds this user's password."
    )
    interval_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="Seconds between two passes. If they are more than 60, give them as the variable "
        "CORPUS_REAPER__INTERVAL_S, which the health check reads, too.",
    )
    grace_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds for which something must have been lost before it is removed: longer "
        "than a task takes from its start to its first container.",
    )
    images_kept: int = Field(
        2, ge=1, le=MOST, description="Newest images of each name that stay, whatever their age."
    )
    images_days: int = Field(
        30,
        ge=0,
        le=MOST_DAYS,
        description="Days after which an older image that nothing uses is removed; 0: never.",
    )


class MetricsSettings(Section):
    statsd: str = Field(
        "",
        description="`host:port` of a StatsD server that gets Airflow's metrics; empty: none. Read where "
        "`make run` and `make up` start Airflow.",
        pattern=r"^$|^(\[[0-9A-Fa-f:]+\]|[^\s:]+):\d{1,5}$",
    )
    prefix: str = Field(
        "airflow", description="What the name of each metric begins with.", pattern=r"^[\w.-]+$"
    )


class LogsSettings(Section):
    json_lines: bool = Field(
        False,
        description="Write each line of Airflow's log as a JSON object. Read as `metrics.statsd` is.",
    )


class WorkerSettings(BaseSettings):
    """All settings of a worker, immutable; `WorkerSettings.load` reads them."""

    model_config = SettingsConfigDict(
        env_prefix="CORPUS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    runner: Literal["process", "docker"] = Field(
        "process",
        description="Where operators run a service: a subprocess of the worker, or containers of the "
        "Docker engine on its host.",
    )
    docker: DockerSettings = DockerSettings()
    reaper: ReaperSettings = ReaperSettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogsSettings = LogsSettings()

    @classmethod
    def load(
        cls, overrides: Mapping[str, Any] | None = None, *, file: Path | None = None
    ) -> WorkerSettings:
        """Read the settings; `overrides` is nested as the sections are. Raises `BadSettingError`."""
        return load(cls, dict(overrides or {}), config_files(file), others=Settings.model_fields)


_USAGE = """\
usage: python -m operators.settings [--reference]

Print the settings of workers, each with where its value comes from; with --reference the page on all settings."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--reference"]:
        print(reference(Settings, WorkerSettings), end="")
        return 0
    if words:
        asked = words[0] in ("-h", "--help")
        print(_USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else BadSettingError.exit_status
    try:
        for row in effective(WorkerSettings.load(), config_files()):
            print(f"{row.name:<24}  {json.dumps(row.value)}  ({row.origin})")
    except BadSettingError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
