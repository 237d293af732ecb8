"""Every setting of the corpus, and how settings are read; nothing here knows what they are used for.

Those of the workers that run its services are in operators/settings.py, and come from the same files and the
same environment. A value comes from the first of these that has it: the overrides of a run (`--set section.key=value`,
the trigger form), the environment (`CORPUS_SECTION__KEY`), the files (`corpus.toml`, then `conf.d`),
the default below. `corpus config` prints each effective value and where it came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from corpus.settings.corpus import (
    DateSettings,
    FeatureSettings,
    GateSettings,
    GroupSettings,
    LabelSettings,
    PlaceSettings,
    ShardSettings,
    SourceSettings,
    SplitSettings,
    StoreSettings,
    VerdictSettings,
)
from corpus.settings.feeds import Feed
from corpus.settings.loading import CONFIG_FILE, config_files, load

__all__ = [
    "CONFIG_FILE",
    "OF_WORKERS",
    "DateSettings",
    "FeatureSettings",
    "Feed",
    "GateSettings",
    "GroupSettings",
    "LabelSettings",
    "PlaceSettings",
    "Settings",
    "ShardSettings",
    "SourceSettings",
    "SplitSettings",
    "StoreSettings",
    "VerdictSettings",
    "config_files",
]


# Sections and settings of the same files that operators/settings.py reads and checks. They are known
# here by name alone, so that a corpus without operators takes these files, and still finds a typo.
OF_WORKERS = frozenset(("docker", "logs", "metrics", "reaper", "runner"))


class Settings(BaseSettings):
    """All settings of the corpus, immutable; `Settings.load` reads them."""

    model_config = SettingsConfigDict(
        env_prefix="CORPUS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: StoreSettings = StoreSettings()
    sources: SourceSettings = SourceSettings()
    places: PlaceSettings = PlaceSettings()
    shards: ShardSettings = ShardSettings()
    dates: DateSettings = DateSettings()
    verdicts: VerdictSettings = VerdictSettings()
    labels: LabelSettings = LabelSettings()
    features: FeatureSettings = FeatureSettings()
    groups: GroupSettings = GroupSettings()
    splits: SplitSettings = SplitSettings()
    gates: GateSettings = GateSettings()

    @classmethod
    def load(
        cls,
        overrides: Mapping[str, Any] | None = None,
        *,
        file: Path | None = None,
    ) -> Settings:
        """Read the settings; `overrides` is nested as the sections are. Raises `BadSettingError`."""
        return load(cls, dict(overrides or {}), config_files(file), others=OF_WORKERS)

    @property
    def digest(self) -> str:
        """sha256 of all settings that shape a corpus's content: not where it lies, nor its secrets."""
        content = self.model_dump(
            mode="json",
            exclude={
                "store": True,
                "places": True,
                "shards": True,
                "sources": {"archive_passwords"},
            },
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
