"""What each service answers, in the order data flows.

Apart from the services, which import much: Airflow checks the answers.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from corpus.contract.base import Report
from corpus.contract.gate import Gate, Result


class CollectReport(Report):
    """What was listed, and how it was cut into shards."""

    shards: list[str] = Field(description="Names of the shards, in order.")
    candidates: int = Field(description="Source files to ingest.")
    bytes: int = Field(description="Size of these files.")
    known_samples: int = Field(description="Samples whose features are to be extracted again.")
    already_seen: int = Field(description="Files, and rows of manifests, that a snapshot has.")
    outside_window: int = Field(description="Files left out by `since` and `until`.")
    over_limit: int = Field(description="Files left out by `limit`; the next update finds them.")
    unreadable: int = Field(description="Files and folders that could not be listed.")
    rejects: dict[str, int] = Field(
        default_factory=dict, description="Rows of manifests that were left out, by reason."
    )
    repeated: int = Field(
        0,
        description="Rows of manifests about a file that an earlier row names, too: its earliest date counts.",
    )


class IngestReport(Report):
    """What the files of some shards were."""

    shards: list[str] = Field(description="Names of the shards read.")
    samples: int = Field(0, description="New samples.")
    known: int = Field(0, description="Samples found that the latest snapshot has already.")
    filtered: int = Field(0, description="Executables of other types than those asked for.")
    rejects: dict[str, int] = Field(default_factory=dict, description="Files by reason.")
    unsupported: dict[str, int] = Field(
        default_factory=dict, description="Files that are not executables, by type."
    )
    bytes: int = Field(0, description="Size of the new samples, uncompressed.")
    failures: int = Field(0, description="New samples whose identification failed.")


class ImportVerdictsReport(Report):
    """What was read, and how much of it is new."""

    files: int = Field(description="Files that were read.")
    already_seen: int = Field(description="Files that are as they were, and were not read again.")
    verdicts: int = Field(description="New verdicts.")
    duplicates: int = Field(description="Verdicts that were read and are known already.")
    samples: int = Field(description="Different sha256s that have a new verdict.")
    by_verdict: dict[str, int] = Field(
        description="New verdicts that say malicious, benign and unknown."
    )
    rejects: dict[str, int] = Field(
        default_factory=dict, description="Rows that were left out, by reason."
    )
    no_report: int = Field(0, description="Records that say that there is no report.")
    unknown_hashes: int = Field(
        0, description="Rows that name a sample by md5 or sha1 that the corpus does not have."
    )
    without_verdict: int = Field(
        0, description="Files that gave no verdict; they are read again with the next update."
    )


class LabelReport(Report):
    """What was resolved, and how it came out."""

    samples: int = Field(description="Samples whose verdicts were resolved.")
    labels: dict[str, int] = Field(description="How many are malicious, benign and unknown.")
    changed: int = Field(description="Older samples with another label or family than before.")
    reasons: dict[str, int] = Field(
        description="Which level of the precedence decided, or why a label is unknown: samples each."
    )
    due_for_reread: int = Field(
        description="Published samples whose provisional VirusTotal report is by now old enough to be "
        "fetched again."
    )
    policy: dict[str, Any] = Field(description="What the manifest says as `label_policy`.")


class ExtractReport(Report):
    """Counts over the shards asked for."""

    shards: list[str] = Field(description="Shards that were extracted.")
    samples: int = Field(description="Samples in them that had vectors to be extracted.")
    vectors: dict[str, int] = Field(description="Vectors staged, by feature set.")
    failures: dict[str, int] = Field(description="Failures staged, by reason.")


class GroupReport(Report):
    """Groups that an update founded, joined and merged."""

    samples: int = Field(description="New samples that were grouped.")
    groups_new: int = Field(description="Groups founded, those of one sample among them.")
    joined: dict[str, int] = Field(
        description="Samples in a group that another one founded: by `tlsh`, by `imphash` alone."
    )
    merged: int = Field(description="Groups that were merged into an older one.")
    refused: int = Field(description="Merges refused because the groups are in different splits.")
    largest_group: int = Field(
        description="Samples in the largest of the groups that have new ones."
    )


class SplitReport(Report):
    """Where an update's samples went, and by what."""

    samples: int = Field(description="New samples that were assigned.")
    splits: dict[str, int] = Field(description="New samples in each split.")
    moved: int = Field(description="Samples of the past in another split now: 0 without resplit.")
    method: str = Field(description="How the whole corpus is split: `time`, `ratio` or `mixed`.")
    undated: int = Field(description="Samples of the whole corpus without first-seen.")
    cuts: dict[str, Any] = Field(description="What the manifest says as `splits`.")


class ValidateReport(Report):
    """Every gate's judgement, and the worst of them."""

    result: Result = Field(description="The worst gate's result; `block` publishes nothing.")
    strict: bool = Field(description="Whether a warning counted as a block.")
    gates: list[Gate] = Field(description="Every gate's judgement.")
    staged_digest: str = Field(description="sha256 of what was staged when it was judged.")
    counts: dict[str, Any] = Field(description="Counts of the snapshot that this update would be.")
    this_update: dict[str, Any] = Field(description="Counts of what this update changes.")


class PublishReport(Report):
    """The snapshot that was published, or with `dry_run` would be."""

    snapshot: str = Field(description="Id of the snapshot: the update's.")
    sequence: int = Field(description="Number of the snapshot; the first is 1.")
    parent: str | None = Field(description="Id of the snapshot before it.")
    dry_run: bool = Field(description="Whether nothing was published.")
    content_digest: str = Field(
        description="Digest of samples, labels, groups, splits and vectors."
    )
    manifest_digest: str | None = Field(None, description="Digest of the manifest, if published.")
    counts: dict[str, Any] = Field(description="Counts of the whole snapshot.")
    changes: dict[str, Any] = Field(description="What the update did to its parent.")
    card: str | None = Field(None, description="Where the data card is, if published.")
