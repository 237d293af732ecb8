"""Every setting of the corpus, in one place.

A value comes from the first of these that has it: the overrides of a run (`--set section.key=value`,
the trigger form), the environment (`CORPUS_SECTION__KEY`), the files (`corpus.toml`, then `conf.d`),
the default below. `corpus config` prints each effective value and where it came from.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from corpus import __version__
from corpus.errors import BadSetting

CONFIG_FILE = Path("/etc/corpus-airflow/corpus.toml")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(Section):
    root: str = Field(
        "corpus-data", description="Where the corpus lives: a folder or an fsspec URL."
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Options for the fsspec file system (for s3: key, secret, endpoint_url).",
    )


class SourceSettings(Section):
    urls: list[str] = Field(
        default_factory=list,
        description="Folders, files or fsspec URLs with samples; a .csv, .jsonl or .parquet file is "
        "read as a manifest.",
    )
    include: list[str] = Field(
        default_factory=lambda: ["**"],
        description="Glob patterns of the paths to take; one without `/` matches names at any depth, "
        "and a name without wildcards also a folder with all in it.",
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Glob patterns of the paths to leave out, read as those of `include`: `sub` or "
        "`a/sub` leaves out that folder.",
    )
    archive_passwords: list[SecretStr] = Field(
        default_factory=lambda: [SecretStr("infected")],
        description="Passwords tried, in this order, on encrypted archives.",
    )
    max_depth: int = Field(3, ge=0, description="How many archives deep members are opened.")
    max_members: int = Field(20_000, ge=1, description="Members of one source file, at all depths.")
    max_ratio: float = Field(
        200.0,
        gt=1,
        description="Unpacked over packed size of one archive beyond which it is refused.",
    )
    max_unpacked_bytes: int = Field(
        4 * 2**30, ge=1, description="Unpacked bytes of one source file, at all depths."
    )
    max_file_bytes: int = Field(
        512 * 2**20, ge=1, description="Size of one executable beyond which it is rejected."
    )


class ShardSettings(Section):
    max_bytes: int = Field(512 * 2**20, ge=1, description="Input bytes of one shard, about.")
    max_files: int = Field(5_000, ge=1, description="Input files of one shard.")
    max_shards: int = Field(
        512, ge=1, le=1024, description="Shards of one update; beyond it shards grow."
    )
    workers: int = Field(
        1,
        ge=1,
        description="Tasks that run at a time: an update is cut so that all of them have work.",
    )
    min_files: int = Field(
        250, ge=1, description="Input files of one shard below which none is cut for a worker."
    )


class VerdictSettings(Section):
    urls: list[str] = Field(
        default_factory=list,
        description="Verdict files, or folders of them: CSV, JSONL or Parquet manifests, VirusTotal "
        "v2 or v3 reports as JSON or JSONL.",
    )
    malicious_threshold: int = Field(
        5,
        ge=1,
        description="Detections from which a VirusTotal report says malicious (EMBER2024: 5).",
    )
    benign_threshold: int = Field(
        0, ge=0, description="Detections up to which a report says benign (EMBER2024: 0)."
    )
    reread_days: int = Field(
        90,
        ge=0,
        description="A report made sooner than this after the file was first seen is provisional.",
    )
    correlated_engines: list[list[str]] = Field(
        default_factory=lambda: [
            ["ALYac", "Arcabit", "BitDefender", "Emsisoft", "eScan", "MicroWorld-eScan", "FireEye",
             "Trellix", "GData", "MAX", "VIPRE", "CTX"],
            ["Avast", "Avast-Mobile", "AVG"],
            ["K7AntiVirus", "K7GW"],
        ],
        description="Engines that share a scanner; each list counts as one detection at most.",
    )  # fmt: skip


class LabelSettings(Section):
    precedence: list[str] = Field(
        default_factory=lambda: ["analyst", "manifest", "virustotal"],
        description="Who is believed first: names of `who`, or kinds of verdict.",
    )
    min_report_age_days: int = Field(
        0,
        ge=0,
        description="A VirusTotal report made sooner than this after first-seen does not count.",
    )
    min_confidence: float = Field(
        0.5, ge=0, le=1, description="Verdicts below this confidence do not count."
    )
    min_family_confidence: float = Field(
        0.0, ge=0, le=1, description="Family names below this confidence are left out."
    )


class FeatureSettings(Section):
    sets: list[str] = Field(
        default_factory=lambda: ["basic-v1"], description="Feature sets that an update extracts."
    )
    jobs: int = Field(1, ge=1, description="Child processes of one extraction task.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds one file may take.")
    memory_bytes: int = Field(
        2 * 2**30, ge=64 * 2**20, description="Memory a child may use for one file."
    )
    recycle_after: int = Field(1_000, ge=1, description="Files after which a child is replaced.")


class GroupSettings(Section):
    tlsh_distance: int = Field(
        30, ge=0, le=50, description="TLSH distance up to which two samples are near-duplicates."
    )
    imphash: bool = Field(True, description="Equal import hashes make one group.")
    ignored_imphashes: list[str] = Field(
        default_factory=lambda: ["f34d5f2d4577ed6d9ceec516c1f5a744"],
        description="Import hashes that say nothing: by default the one of every .NET executable.",
    )


class SplitSettings(Section):
    validation_from: str | None = Field(
        None,
        description="First day (YYYY-MM-DD) of the validation split; empty: set by weeks below.",
    )
    test_from: str | None = Field(
        None, description="First day (YYYY-MM-DD) of the test split; empty: set by weeks below."
    )
    validation_weeks: int = Field(
        4, ge=0, description="Weeks before the test weeks, at the first snapshot, for validation."
    )
    test_weeks: int = Field(
        12, ge=0, description="Last weeks, at the first snapshot, for test (EMBER2024: 12 of 64)."
    )
    ratio: list[float] = Field(
        default_factory=lambda: [0.7, 0.1, 0.2],
        description="Shares of train, validation and test where first-seen is not known.",
    )
    seed: int = Field(0, description="Seed of the ratio split.")


class GateSettings(Section):
    max_failure_share_warn: float = Field(0.02, ge=0, le=1, description="Failed extractions: warn.")
    max_failure_share_block: float = Field(
        0.2, ge=0, le=1, description="Failed extractions: block."
    )
    min_failure_samples: int = Field(
        10,
        ge=1,
        description="Extractions from which failures can block; with fewer they only warn.",
    )
    min_class_share_warn: float = Field(
        0.05, ge=0, le=1, description="Share of the smaller labelled class: warn below."
    )
    min_class_share_block: float = Field(
        0.0, ge=0, le=1, description="Share of the smaller labelled class: block below."
    )
    max_growth_warn: float = Field(
        1.0, ge=0, description="New samples over those of the last snapshot: warn above."
    )
    max_growth_block: float = Field(
        100.0, ge=0, description="New samples over those of the last snapshot: block above."
    )
    min_growth_samples: int = Field(
        100, ge=0, description="Samples of the last snapshot from which growth can block."
    )
    min_drift_samples: int = Field(
        200, ge=1, description="New samples from which drift is judged at all."
    )
    max_psi_warn: float = Field(0.25, ge=0, description="Population stability index: warn above.")
    max_psi_block: float = Field(10.0, ge=0, description="Population stability index: block above.")


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
        description="`uid:gid` that containers run as; empty: the worker's own, or 50000:50000 where "
        "that is root.",
        pattern=r"^(\d+:\d+)?$",
    )
    memory_bytes: int = Field(
        4 * 2**30, ge=64 * 2**20, description="Memory of one container, its /tmp included; no swap."
    )
    cpus: float = Field(2.0, gt=0, description="Processors' time that one container gets.")
    cpuset: str = Field("", description="Processors that containers run on (`0-3,6`); empty: all.")
    pids: int = Field(1_024, ge=16, description="Processes and threads of one container.")
    tmpfs_bytes: int = Field(1 * 2**30, ge=2**20, description="Size of a container's /tmp.")
    host: str = Field("", description="Name of the worker's host in labels; empty: the host name.")
    log_driver: Literal["local", "json-file", ""] = Field(
        "local",
        description="Where the engine keeps a container's output (20 MB of it, at most); empty: the "
        "engine's own driver, with its own bounds.",
    )
    log_lines: int = Field(
        20_000,
        ge=1,
        description="Lines of a container that the task log shows; the rest is counted, and its end "
        "shown.",
    )
    engine_wait_s: float = Field(
        300.0, ge=0, description="Seconds that a task waits for an engine that does not answer."
    )

    @field_validator("services_image", "extractor_image")
    @classmethod
    def _of_this_version(cls, image: str) -> str:
        # A tag takes no plus sign.
        return image.replace("{version}", __version__.replace("+", "-"))


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
        description="Seconds between two passes; the health check in docker/compose.yaml is made for "
        "60 at most.",
    )
    grace_s: float = Field(
        60.0,
        ge=0,
        description="Seconds for which something must have been lost before it is removed: longer "
        "than a task takes from its start to its first container.",
    )
    images_kept: int = Field(
        2, ge=1, description="Newest images of each name that stay, whatever their age."
    )
    images_days: int = Field(
        30,
        ge=0,
        description="Days after which an older image that nothing uses is removed; 0: never.",
    )


class Settings(BaseSettings):
    """All settings, immutable; `Settings.load` reads them."""

    model_config = SettingsConfigDict(
        env_prefix="CORPUS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: StoreSettings = StoreSettings()
    sources: SourceSettings = SourceSettings()
    shards: ShardSettings = ShardSettings()
    verdicts: VerdictSettings = VerdictSettings()
    labels: LabelSettings = LabelSettings()
    features: FeatureSettings = FeatureSettings()
    groups: GroupSettings = GroupSettings()
    splits: SplitSettings = SplitSettings()
    gates: GateSettings = GateSettings()
    docker: DockerSettings = DockerSettings()
    reaper: ReaperSettings = ReaperSettings()
    runner: Literal["process", "docker"] = Field(
        "process",
        description="Where operators run a service: a subprocess of the worker, or containers of the "
        "Docker engine on its host.",
    )

    @classmethod
    def load(
        cls,
        overrides: Mapping[str, Any] | None = None,
        *,
        file: Path | None = None,
    ) -> Settings:
        """Read the settings; `overrides` is nested as the sections are. Raises `BadSetting`."""
        return _load(cls, dict(overrides or {}), config_files(file))

    @property
    def digest(self) -> str:
        """sha256 of all settings that shape a corpus's content: not where it lies, nor its secrets."""
        content = self.model_dump(
            mode="json",
            exclude={
                "store": True,
                "runner": True,
                "docker": True,
                "reaper": True,
                "shards": True,
                "sources": {"archive_passwords"},
            },
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def config_files(file: Path | None = None) -> list[Path]:
    """The settings files that exist, in the order they are read: a later one wins."""
    path = file or Path(os.environ.get("CORPUS_CONFIG", CONFIG_FILE))
    if file and not file.is_file():
        raise BadSetting("there is no such settings file.", file=str(file))
    if not path.is_file():
        return []
    folders = [path.parent / "conf.d"]
    # Where what is secret lies apart, as in a container that gets it by a mount of its own.
    if secrets := os.environ.get("CORPUS_CONFIG_SECRETS"):
        folders.append(Path(secrets))
    return [path, *(found for folder in folders for found in sorted(folder.glob("*.toml")))]


def _load(cls: type[Settings], overrides: dict[str, Any], files: list[Path]) -> Settings:
    class Loaded(cls):  # type: ignore[valid-type,misc]
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # A later file wins over an earlier one, so conf.d mends corpus.toml.
            toml = [TomlConfigSettingsSource(settings_cls, path) for path in reversed(files)]
            return (init_settings, EnvSettingsSource(settings_cls), *toml)

    try:
        loaded = Loaded(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        raise BadSetting(
            f"there is no such setting.{_meant(cls, field)}" if unknown else f"{first['msg']}.",
            field=field,
            hint="`corpus config` lists every setting and where its value came from.",
        ) from error
    except (OSError, ValueError) as error:
        raise BadSetting(str(error), file=", ".join(map(str, files))) from error
    return loaded


def _meant(cls: type[BaseModel], name: str) -> str:
    """A guess at the setting that someone meant, as a sentence; empty where none is near."""
    names = list(cls.model_fields)
    for section, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += [f"{section}.{inner}" for inner in field.annotation.model_fields]
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""
