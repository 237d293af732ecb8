"""Settings of the corpus: where it lies, what goes into it, and how that is judged."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from corpus.settings.feeds import Feed, OnBadRow
from corpus.settings.section import MOST, MOST_BYTES, MOST_DAYS, Section

# A hundred years, as MOST_DAYS.
MOST_WEEKS = 5_200


class StoreSettings(Section):
    root: str = Field(
        "corpus-data", description="Where the corpus lives: a folder or an fsspec URL."
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Options for the fsspec file system (for s3: key, secret, endpoint_url).",
    )

    def revealed(self) -> dict[str, str]:
        """Return the options with their secrets, for the file system alone."""
        return {name: value.get_secret_value() for name, value in self.options.items()}


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
    on_bad_row: OnBadRow = Field(
        "reject",
        description="A wrong row of a manifest is left out and counted (`reject`), or the manifest is refused "
        "(`refuse`). It is refused, too, if all its rows are wrong.",
    )
    max_depth: int = Field(3, ge=0, le=32, description="How many archives deep members are opened.")
    max_members: int = Field(
        20_000, ge=1, le=MOST, description="Members of one source file, at all depths."
    )
    max_ratio: float = Field(
        200.0,
        gt=1,
        le=MOST,
        description="Unpacked over packed size of one archive beyond which it is refused.",
    )
    max_unpacked_bytes: int = Field(
        4 * 2**30,
        ge=1,
        le=MOST_BYTES,
        description="Unpacked bytes of one source file, at all depths.",
    )
    max_seconds: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="Processor time that reading and unpacking one source file may take.",
    )
    max_file_bytes: int = Field(
        512 * 2**20,
        ge=1,
        le=MOST_BYTES,
        description="Size of one executable beyond which it is rejected.",
    )


class PlaceSettings(Section):
    roots: list[str] = Field(
        default_factory=list,
        description="More folders below which runs may read samples, manifests and verdict files; the "
        "places that `sources.urls`, `verdicts.feeds` and `store.root` name are allowed anyway. A URL "
        "allows its bucket or its host.",
    )
    schemes: list[str] = Field(
        default_factory=list,
        description="More kinds of URLs that are allowed, such as s3 or https.",
    )
    hosts: list[str] = Field(
        default_factory=list,
        description="More hosts that are allowed: names, addresses or networks, with `:port` if it is "
        "not the scheme's own. An address that is not of the public internet is allowed only if it or "
        "its network is listed, also as the address of a listed name.",
    )
    buckets: list[str] = Field(default_factory=list, description="More buckets that are allowed.")


class ShardSettings(Section):
    max_bytes: int = Field(
        512 * 2**20, ge=1, le=MOST_BYTES, description="Input bytes of one shard, about."
    )
    max_files: int = Field(5_000, ge=1, le=MOST, description="Input files of one shard.")
    max_shards: int = Field(
        512, ge=1, le=1024, description="Shards of one update; beyond it shards grow."
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Tasks that run at a time: an update is cut so that all of them have work.",
    )
    min_files: int = Field(
        250,
        ge=1,
        le=MOST,
        description="Input files of one shard below which none is cut for a worker.",
    )


class DateSettings(Section):
    earliest: str = Field(
        "1990-01-01",
        description="First day (YYYY-MM-DD) that a date of a manifest or a verdict may be; what is earlier, or "
        "more than a day ahead, is not taken for a date.",
    )

    @field_validator("earliest", mode="before")
    @classmethod
    def _is_a_day(cls, value: object) -> str:
        # TOML has days of its own.
        with suppress(ValueError):
            day = date.fromisoformat(str(value))
            if 1900 <= day.year < 3000:
                return day.isoformat()
        raise PydanticCustomError("day", "is not a day such as 1990-01-01, from 1900 to 2999")

    @property
    def first(self) -> date:
        return date.fromisoformat(self.earliest)


class VerdictSettings(Section):
    feeds: list[Feed] = Field(
        default_factory=list,
        description="Places of verdict files and whom each may speak for, as tables `[[verdicts.feeds]]`: `place`, "
        "`reporter`, `format`, `columns`, `on_bad_row`; [labels](labels.md) has them.",
    )
    malicious_threshold: int = Field(
        5,
        ge=1,
        le=1_000,
        description="Detections from which a VirusTotal report says malicious (EMBER2024: 5).",
    )
    benign_threshold: int = Field(
        0,
        ge=0,
        le=1_000,
        description="Detections up to which a report says benign (EMBER2024: 0).",
    )
    reread_days: int = Field(
        90,
        ge=0,
        le=MOST_DAYS,
        description="A report made sooner than this after the file was first seen is provisional.",
    )
    family_aliases: dict[str, str] = Field(
        default_factory=dict,
        description="Other names of families, and what each is called here: "
        '`{ reline = "redline" }`. They win over those of AVClass.',
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
        default_factory=lambda: ["analyst", "manifest", "virustotal", "form"],
        description="Who is believed first: reporters (in any case), or kinds of source; `form` is what was typed into a "
        "form or a command line.",
    )
    min_report_age_days: int = Field(
        0,
        ge=0,
        le=MOST_DAYS,
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
    jobs: int = Field(1, ge=1, le=1024, description="Child processes of one extraction task.")
    timeout_s: float = Field(60.0, gt=0, le=86_400, description="Seconds one file may take.")
    memory_bytes: int = Field(
        2 * 2**30,
        ge=64 * 2**20,
        le=MOST_BYTES,
        description="Memory a child may use for one file.",
    )
    recycle_after: int = Field(
        1_000, ge=1, le=MOST, description="Files after which a child is replaced."
    )


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
        4,
        ge=0,
        le=MOST_WEEKS,
        description="Weeks before the test weeks, at the first snapshot, for validation.",
    )
    test_weeks: int = Field(
        12,
        ge=0,
        le=MOST_WEEKS,
        description="Last weeks, at the first snapshot, for test (EMBER2024: 12 of 64).",
    )
    ratio: list[float] = Field(
        default_factory=lambda: [0.7, 0.1, 0.2],
        description="Shares of train, validation and test where first-seen is not known.",
    )
    seed: int = Field(0, ge=-(2**63), le=2**63 - 1, description="Seed of the ratio split.")

    @field_validator("validation_from", "test_from")
    @classmethod
    def _is_a_day(cls, value: str | None) -> str | None:
        # Here, and not where they are used: a run with a day that is none ends at its first task.
        with suppress(ValueError):
            if not value or 1900 <= date.fromisoformat(value).year < 3000:
                return value
        raise PydanticCustomError("day", "is not a day such as 2024-09-22, from 1900 to 2999")


class GateSettings(Section):
    max_failure_share_warn: float = Field(0.02, ge=0, le=1, description="Failed extractions: warn.")
    max_failure_share_block: float = Field(
        0.2, ge=0, le=1, description="Failed extractions: block."
    )
    min_failure_samples: int = Field(
        10,
        ge=1,
        le=MOST,
        description="Extractions from which failures can block; with fewer they only warn.",
    )
    min_class_share_warn: float = Field(
        0.05, ge=0, le=1, description="Share of the smaller labelled class: warn below."
    )
    min_class_share_block: float = Field(
        0.0, ge=0, le=1, description="Share of the smaller labelled class: block below."
    )
    max_growth_warn: float = Field(
        1.0, ge=0, le=MOST, description="New samples over those of the last snapshot: warn above."
    )
    max_growth_block: float = Field(
        100.0,
        ge=0,
        le=MOST,
        description="New samples over those of the last snapshot: block above.",
    )
    min_growth_samples: int = Field(
        100, ge=0, le=MOST, description="Samples of the last snapshot from which growth can block."
    )
    min_drift_samples: int = Field(
        200, ge=1, le=MOST, description="New samples from which drift is judged at all."
    )
    max_psi_warn: float = Field(
        0.25, ge=0, le=MOST, description="Population stability index: warn above."
    )
    max_psi_block: float = Field(
        10.0, ge=0, le=MOST, description="Population stability index: block above."
    )
