"""Where things lie in a workspace, and which files may be there at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from corpus.services.extract.shard_vectors import failures_part
from corpus.services.inputs.layout import FOLDER, SOURCES, TASK, pending_key
from corpus.store.provenance import REPORT
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.staging import Update
from corpus.store.update_record import record_key

# The tables that an ingest stages, one part a shard.
INGESTED = ("samples", "rejects", "failures", "sightings")

_BLOB = r"blobs/sha256/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}\.zst"


def part_key(update: Update, table: str, part: str) -> str:
    """Return the key of a staged part of a table."""
    return f"{update.prefix}/{table}/{part}.parquet"


def report_key(update: Update, service: str, shard: str) -> str:
    """Return the key of the report that a service leaves of a shard."""
    return f"{update.prefix}/reports/{service}-{shard}.json"


def of_ingest(update: Update, shards: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of the keys that a workspace for `ingest` may have when it is staged out."""
    keys = [SOURCES]
    for shard in shards:
        keys += [part_key(update, table, shard) for table in (CANDIDATES.name, *INGESTED)]
        keys.append(report_key(update, "ingest", shard))
    return _matching(update, "ingest", keys, re.escape(f"{FOLDER}/sources/") + r"\d+")


def of_extract(update: Update, shards: Iterable[str], sets: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of the keys that a workspace for `extract` may have when it is staged out."""
    sets, keys = list(sets), []
    for shard in shards:
        keys += [pending_key(shard), report_key(update, "extract", shard)]
        for name in sets:
            keys.append(part_key(update, FEATURES_PREFIX + name, shard))
            keys.append(part_key(update, "failures", failures_part(name, shard)))
    return _matching(update, "extract", keys)


def _matching(update: Update, service: str, keys: list[str], *more: str) -> re.Pattern[str]:
    image = re.escape(f"{update.prefix}/reports/{REPORT}-{service}-") + r"[0-9a-f]+\.json"
    keys = [TASK, record_key(update.id), *keys]
    return re.compile("|".join([_BLOB, image, *more, *map(re.escape, keys)]))
