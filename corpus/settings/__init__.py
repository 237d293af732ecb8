"""Every setting of the corpus, in one place.

A value comes from the first of these that has it: the overrides of a run (`--set section.key=value`,
the trigger form), the environment (`CORPUS_SECTION__KEY`), the files (`corpus.toml`, then `conf.d`),
the default below. `corpus config` prints each effective value and where it came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from corpus.settings.corpus import (
    FeatureSettings,
    GateSettings,
    GroupSettings,
    LabelSettings,
    ShardSettings,
    SourceSettings,
    SplitSettings,
    StoreSettings,
    VerdictSettings,
)
from corpus.settings.hosts import DockerSettings, ReaperSettings
from corpus.settings.loading import CONFIG_FILE, config_files, load

__all__ = [
    "CONFIG_FILE",
    "DockerSettings",
    "FeatureSettings",
    "GateSettings",
    "GroupSettings",
    "LabelSettings",
    "ReaperSettings",
    "Settings",
    "ShardSettings",
    "SourceSettings",
    "SplitSettings",
    "StoreSettings",
    "VerdictSettings",
    "config_files",
]


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
        """Read the settings; `overrides` is nested as the sections are. Raises `BadSettingError`."""
        return load(cls, dict(overrides or {}), config_files(file))

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
