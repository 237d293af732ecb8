"""The columns of every table, of staged parts and of published files alike.

docs/reference/data-model.md says what each column means. A table with several rows for one key is read
latest-wins: the row with the highest `sequence` (the number of the snapshot that added it) counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
_ORIGIN = [("update_id", pa.string()), ("sequence", pa.int32())]


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns, its key, and the columns that are looked up by an index (see corpus.store.index).

    Of rows with one key the latest counts; with an empty key all rows count.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ()
    indexed: tuple[str, ...] = ()


def _spec(
    name: str,
    key: tuple[str, ...],
    *columns: tuple[str, pa.DataType],
    also_indexed: tuple[str, ...] = (),
) -> TableSpec:
    return TableSpec(name, pa.schema([*columns, *_ORIGIN]), key, (*key[:1], *also_indexed))


SAMPLES = _spec(
    "samples",
    ("sha256",),
    ("sha256", pa.string()),
    ("md5", pa.string()),
    ("sha1", pa.string()),
    ("size", pa.int64()),
    ("file_type", pa.string()),
    ("arch", pa.string()),
    ("tlsh", pa.string()),
    ("imphash", pa.string()),
    ("first_seen", TIME),
    ("source", pa.string()),
    ("location", pa.string()),
    ("tags", pa.list_(pa.string())),
    ("blob_sha256", pa.string()),
    ("blob_size", pa.int64()),
)
VERDICTS = _spec(
    "verdicts",
    ("verdict_id",),
    ("verdict_id", pa.string()),
    ("sha256", pa.string()),
    ("verdict", pa.string()),
    ("reporter", pa.string()),
    ("reported_at", TIME),
    ("confidence", pa.float64()),
    ("family", pa.string()),
    ("family_confidence", pa.float64()),
    ("source_kind", pa.string()),
    ("detections", pa.int32()),
    ("engines", pa.int32()),
    ("first_seen", TIME),
    ("file", pa.string()),
    ("row", pa.int64()),
    also_indexed=("sha256",),
)
LABELS = _spec(
    "labels",
    ("sha256",),
    ("sha256", pa.string()),
    ("label", pa.string()),
    ("family", pa.string()),
    ("family_confidence", pa.float64()),
    ("confidence", pa.float64()),
    ("reason", pa.string()),
    ("provisional", pa.bool_()),
    ("verdict_ids", pa.list_(pa.string())),
    ("resolved_at", TIME),
    ("policy", pa.string()),
)
GROUPS = _spec(
    "groups",
    ("sha256",),
    ("sha256", pa.string()),
    ("group_id", pa.string()),
    ("tlsh", pa.string()),
    ("imphash", pa.string()),
    ("reason", pa.string()),
    ("neighbour", pa.string()),
    ("distance", pa.int32()),
    also_indexed=("group_id",),
)
MERGES = _spec(
    "merges",
    (),
    ("group_id", pa.string()),
    ("merged_id", pa.string()),
    ("via", pa.string()),
    ("reason", pa.string()),
    ("status", pa.string()),
    ("detail", pa.string()),
)
SPLITS = _spec(
    "splits",
    ("sha256",),
    ("sha256", pa.string()),
    ("split", pa.string()),
    ("group_id", pa.string()),
    ("first_seen", TIME),
    ("reason", pa.string()),
    also_indexed=("group_id",),
)
FAILURES = _spec(
    "failures",
    ("sha256", "service", "feature_set"),
    ("sha256", pa.string()),
    ("service", pa.string()),
    ("feature_set", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
    ("elapsed_s", pa.float64()),
    ("peak_memory_bytes", pa.int64()),
)
REJECTS = _spec(
    "rejects",
    (),
    ("location", pa.string()),
    ("source", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
    ("file_type", pa.string()),
    ("files", pa.int64()),
    ("size", pa.int64()),
    ("sha256", pa.string()),
    also_indexed=("location",),
)
SEEN_FILES = _spec(
    "seen_files",
    ("location",),
    ("location", pa.string()),
    ("fingerprint", pa.string()),
    ("source", pa.string()),
)

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        SAMPLES, VERDICTS, LABELS, GROUPS, MERGES, SPLITS, FAILURES, REJECTS, SEEN_FILES,
    )
}  # fmt: skip

# Staged only: what `collect` hands to `ingest`, one part a shard.
CANDIDATES = _spec(
    "candidates",
    (),
    ("location", pa.string()),
    ("fingerprint", pa.string()),
    ("size", pa.int64()),
    ("expected_sha256", pa.string()),
    ("first_seen", TIME),
    ("source", pa.string()),
    ("tags", pa.list_(pa.string())),
    ("known_sha256", pa.string()),
)

FEATURES_PREFIX = "features-"


def features_spec(feature_set: str, dim: int) -> TableSpec:
    """The table of one feature set: fixed-size float32 vectors, and the raw features as JSON."""
    return _spec(
        FEATURES_PREFIX + feature_set,
        ("sha256",),
        ("sha256", pa.string()),
        ("vector", pa.list_(pa.field("item", pa.float32()), dim)),
        ("vector_sha256", pa.string()),
        ("raw", pa.large_string()),
    )
