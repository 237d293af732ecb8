"""What each service can be asked, in the order data flows.

Apart from the services, which import much: the command line makes its options of these, and Airflow
its forms, at every parse of the DAGs.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from corpus.contract.base import Request

FileType = Literal["pe", "elf"]
_FILE_TYPES: tuple[FileType, ...] = ("pe", "elf")


class CollectRequest(Request):
    """List the source files that no snapshot has seen yet, and cut them into shards.

    A file is new unless the latest snapshot knows its location with the same size and time. A row of
    a manifest is new unless its sha256 is a known sample. An empty day is not an error.
    """

    sources: list[str] = Field(
        default_factory=list,
        description="Folder, file, manifest or fsspec URL to list; `sources.urls` if left out.",
    )
    since: date | None = Field(
        None,
        description="First day (YYYY-MM-DD) of the files to take, by first-seen where a manifest "
        "says it, else by the time of the file's last modification.",
    )
    until: date | None = Field(None, description="Last day (YYYY-MM-DD) of the files to take.")
    limit: int | None = Field(
        None,
        ge=0,
        le=1_000_000_000,
        description="Source files to take at most; 0 takes none.",
    )
    rescan: bool = Field(False, description="Take files that were seen before as well.")
    re_extract: bool = Field(
        False,
        description="Add shards of known samples that lack a vector of one of the feature sets.",
    )
    feature_sets: list[str] = Field(
        default_factory=list,
        description="Feature sets that known samples shall have; those of the settings by default.",
    )


class IngestRequest(Request):
    """Read the files of an update's shards, open archives, and store each executable as a blob.

    Executables are found by content. What is not an executable, or cannot be read, becomes a reject with
    its reason; a file on which the identification crashes costs one row of failures.
    """

    update: str | None = Field(None, description="Id of the update to work in; needed.")
    shards: list[str] = Field(
        default_factory=list, description="Shard to read; all of the update if left out."
    )
    file_types: list[FileType] = Field(
        default_factory=lambda: list(_FILE_TYPES),
        description="Type of executables to take; files with others are left for another update.",
    )


class ImportVerdictsRequest(Request):
    """Read verdict files that are new or have changed."""

    urls: list[str] = Field(
        default_factory=list,
        description="Verdict files, or folders or fsspec URLs of them; those of `verdicts.feeds` if left "
        "out. What lies in none of these speaks as `form`, which is believed last.",
    )
    rescan: bool = Field(
        False, description="Read all files again, also those that have not changed."
    )


class LabelRequest(Request):
    """Label new samples, and older ones with new verdicts, or all when the policy has changed."""

    relabel: bool = Field(
        False, description="Resolve all samples again, even if nothing seems to have changed."
    )


class ExtractRequest(Request):
    """Extract the samples of some shards."""

    shards: list[str] = Field(
        default_factory=list, description="Shards to extract; all of the update by default."
    )
    feature_sets: list[str] = Field(
        default_factory=list,
        description="Feature sets to extract, such as basic-v1; those of the settings by default.",
    )
    jobs: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Child processes at a time; as in the settings by default.",
    )


class GroupRequest(Request):
    """Group the new samples of an update."""


class SplitRequest(Request):
    """Assign the new samples of an update to splits."""

    resplit: bool = Field(
        False,
        description="Assign all samples again, by the cuts as they are now: samples of the past may "
        "move to another split.",
    )


class ValidateRequest(Request):
    update: str | None = Field(None, description="Id of the update to judge; needed.")
    strict: bool = Field(False, description="A warning blocks, too.")


class PublishRequest(Request):
    update: str | None = Field(None, description="Id of the update to publish; needed.")
    note: str = Field(
        "",
        max_length=500,
        description="A line for the manifest and the card: why this snapshot is.",
    )
    dry_run: bool = Field(
        False, description="Do all checks, say what would be published, and publish nothing."
    )
