"""A corpus of made-up rows, published for real: the base that an update is measured on.

Rows are made array-wise; tables, data files, Delta logs, manifest, stats and the state of the
content digest are what `split`, `validate` and `publish` make of them. Only blobs are left out:
an update does not read those of its base.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.executables import launchers, variant
from corpus import features
from corpus.contract.progress import Progress
from corpus.contract.requests import PublishRequest, SplitRequest, ValidateRequest
from corpus.services.context import Context
from corpus.services.ingest.identity import identify
from corpus.services.label.policy import Policy
from corpus.services.publish.service import publish
from corpus.services.split.service import split
from corpus.services.validate.service import validate
from corpus.store.parts import ALL
from corpus.store.schemas import TIME
from corpus.store.staging import Update

SET = "basic-v1"
_START = datetime(2023, 1, 2, tzinfo=UTC)
_WEEKS = 64
_PART_ROWS = 50_000
_FAMILIES = 400
_DISTINCT_VECTORS = 2_000

Random = np.random.Generator


@dataclass(frozen=True)
class Vectors:
    """Real vectors of real files, to be dealt out to the made-up rows."""

    values: npt.NDArray[np.float32]
    digests: pa.Array

    @classmethod
    def of_variants(cls, count: int, seed: int) -> Vectors:
        chance, originals = random.Random(seed), launchers()
        extract = features.get(SET).vector
        files = (variant(originals[n % len(originals)], chance) for n in range(count))
        values = np.stack([extract(data) for data in files])
        digests = [hashlib.sha256(row.astype("<f4").tobytes()).hexdigest() for row in values]
        return cls(values, pa.array(digests, pa.string()))


def build(context: Context, rows: int, updates: int, seed: int) -> None:
    """Publish a corpus of so many samples as so many updates of equal size."""
    progress = Progress()
    chance = np.random.default_rng(seed)
    vectors = Vectors.of_variants(min(_DISTINCT_VECTORS, rows), seed)
    imphashes = [found for data in launchers() if (found := identify(data)["imphash"])]
    former: pa.Table | None = None
    for number in range(updates):
        count = rows * (number + 1) // updates - rows * number // updates
        update = Update.open(context.store, f"base-{number:04d}", context.run)
        # Few enough near relatives of the new files, and as many in a small corpus as in a large one.
        related = imphashes if number == 0 else []
        labels = _stage(update, count, chance, vectors, related, context)
        if former is not None:
            _relabel(update, labels, former.slice(0, former.num_rows // 100))
        former = labels
        split(SplitRequest(update=update.id), context)
        validate(ValidateRequest(update=update.id), context)
        publish(PublishRequest(update=update.id), context)
        progress.step("rows published", rows * (number + 1) // updates, rows)


def _stage(
    update: Update,
    count: int,
    chance: Random,
    vectors: Vectors,
    related: list[str],
    context: Context,
) -> pa.Table:
    groups, first_seen = _groups(count, chance)
    samples = _samples(count, chance, groups, first_seen, related)
    verdicts = _verdicts(samples, chance)
    labels = _labels(verdicts, Policy.of(context.settings).digest)
    for part, start in enumerate(range(0, count, _PART_ROWS)):
        name, rows = f"shard-{part:04d}", samples.slice(start, _PART_ROWS)
        _write(update, "samples", rows, name)
        _write(update, "sightings", _sightings(rows), name)
        _write(update, f"features-{SET}", _features(rows["sha256"], vectors, chance), name)
    _write(update, "verdicts", verdicts)
    _write(update, "labels", labels)
    _write(update, "groups", _group_rows(samples, groups))
    return labels


def _groups(count: int, chance: Random) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row of each row's founder (the first of its group), and first-seen in seconds.

    Four of five samples are alone, as in real sets; the others have relatives of about the same week.
    """
    founder = np.arange(count)
    follows = np.flatnonzero((chance.random(count) < 0.2) & (founder > 0))
    # Squared: earlier founders get more, so that sizes have a long tail.
    founder[follows] = (follows * chance.random(len(follows)) ** 2).astype(np.int64)
    while not np.array_equal(founder, further := founder[founder]):
        founder = further
    seconds = chance.integers(0, _WEEKS * 7 * 86_400, count)
    seconds = np.minimum(
        seconds[founder] + chance.integers(0, 20 * 86_400, count), _WEEKS * 604_800
    )
    return founder, seconds


def _samples(
    count: int,
    chance: Random,
    founder: npt.NDArray[np.int64],
    first_seen: npt.NDArray[np.int64],
    related: list[str],
) -> pa.Table:
    sha256 = hex_strings(chance.bytes(32 * count), 32)
    pe = chance.random(count)[founder] < 0.85
    imphash = hex_strings(chance.bytes(16 * count), 16).take(pa.array(founder))
    imphash = pc.if_else(pa.array(pe), imphash, pa.scalar(None, pa.string())).to_pylist()
    imphash[: len(related)] = related
    size = np.clip(chance.lognormal(12.5, 1.6, count), 1_000, 5e8).astype(np.int64)
    arch = chance.choice(["x86", "x86_64", "arm64"], count, p=[0.5, 0.45, 0.05])
    location = pc.binary_join_element_wise("/archive/2023/", sha256, ".bin", "")
    return pa.table(
        {
            "sha256": sha256,
            "md5": hex_strings(chance.bytes(16 * count), 16),
            "size": size,
            "file_type": np.where(pe, "pe", "elf"),
            "arch": arch,
            "tlsh": _tlsh(count, chance, founder),
            "imphash": pa.array(imphash, pa.string()),
            "first_seen": _times(first_seen),
            "source": pa.array(["/archive"] * count),
            "location": location,
            "tags": pa.array([[]] * count, pa.list_(pa.string())),
            "blob_sha256": hex_strings(chance.bytes(32 * count), 32),
            "blob_size": size // 2,
        }
    )


def _tlsh(count: int, chance: Random, founder: npt.NDArray[np.int64]) -> pa.Array:
    """Digests whose headers spread like those of executables; relatives differ in a few buckets."""
    data = chance.integers(0, 256, (count, 35), np.uint8)
    length = np.clip(chance.normal(150, 20, count), 0, 255).astype(np.uint8)
    ratios = np.clip(chance.normal(7, 3, (count, 2)), 0, 15).astype(np.uint8)
    data[:, 1] = (length << 4) | (length >> 4)
    data[:, 2] = (ratios[:, 0] << 4) | ratios[:, 1]
    rows = np.flatnonzero(founder != np.arange(count))
    data[rows] = data[founder[rows]]
    for _ in range(4):
        data[rows, chance.integers(3, 35, len(rows))] ^= np.uint8(1) << chance.integers(
            0, 8, len(rows), np.uint8
        )
    text = np.char.upper(np.array([data.tobytes().hex()]))[0]
    marked = np.empty((count, 72), np.uint8)
    marked[:, :2] = np.frombuffer(b"T1", np.uint8)
    marked[:, 2:] = np.frombuffer(text.encode(), np.uint8).reshape(count, 70)
    return _strings(marked)


def _verdicts(samples: pa.Table, chance: Random) -> pa.Table:
    count = samples.num_rows
    verdict = chance.choice(["malicious", "benign", "unknown"], count, p=[0.5, 0.4, 0.1])
    family = np.array([f"family{n}" for n in range(_FAMILIES)])
    named = pa.array(family[np.minimum(chance.zipf(1.5, count), _FAMILIES) - 1])
    named = pc.if_else(pa.array(verdict == "malicious"), named, pa.scalar(None, pa.string()))
    return pa.table(
        {
            "verdict_id": hex_strings(chance.bytes(32 * count), 32),
            "sha256": samples["sha256"],
            "verdict": verdict,
            "who": pa.array(["vendor"] * count),
            "when": samples["first_seen"],
            "confidence": chance.uniform(0.6, 1.0, count),
            "family": named,
            "kind": pa.array(["manifest"] * count),
            "first_seen": samples["first_seen"],
            "file": pa.array(["/archive/verdicts.csv"] * count),
            "row": np.arange(1, count + 1),
        }
    )


def _labels(verdicts: pa.Table, policy: str) -> pa.Table:
    count = verdicts.num_rows
    ids = verdicts["verdict_id"].combine_chunks()
    return pa.table(
        {
            "sha256": verdicts["sha256"],
            "label": verdicts["verdict"],
            "family": verdicts["family"],
            "confidence": verdicts["confidence"],
            "reason": pa.array(["manifest"] * count),
            "provisional": pa.array(np.zeros(count, np.bool_)),
            "verdict_ids": pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32), ids),
            "resolved_at": pa.array([_START] * count, TIME),
            "policy": pa.array([policy] * count),
        }
    )


def _relabel(update: Update, labels: pa.Table, former: pa.Table) -> None:
    """Some labels of the update before change: a snapshot's rows are not all the only ones of their key."""
    changed = former.set_column(
        former.schema.get_field_index("label"), "label", pa.array(["unknown"] * former.num_rows)
    )
    _write(update, "labels", pa.concat_tables([labels, changed]))


def _group_rows(samples: pa.Table, founder: npt.NDArray[np.int64]) -> pa.Table:
    sha256 = samples["sha256"].combine_chunks()
    first = sha256.take(pa.array(founder))
    own = pa.array(founder == np.arange(len(founder)))
    nothing = pa.scalar(None, pa.string())
    return pa.table(
        {
            "sha256": sha256,
            "group_id": pc.binary_join_element_wise(
                "g-", pc.utf8_slice_codeunits(first, 0, 16), ""
            ),
            "tlsh": samples["tlsh"],
            "imphash": samples["imphash"],
            "reason": pc.if_else(own, "new", "tlsh"),
            "neighbour": pc.if_else(own, nothing, first),
            "distance": pc.if_else(own, pa.scalar(None, pa.int32()), pa.scalar(8, pa.int32())),
        }
    )


def _features(sha256: pa.ChunkedArray, vectors: Vectors, chance: Random) -> pa.Table:
    count, dim = len(sha256), vectors.values.shape[1]
    chosen = chance.integers(0, len(vectors.values), count)
    flat = pa.array(vectors.values[chosen].reshape(-1))
    return pa.table(
        {
            "sha256": sha256,
            "vector": pa.FixedSizeListArray.from_arrays(flat, dim),
            "vector_sha256": vectors.digests.take(pa.array(chosen)),
            "raw": pa.array(["{}"] * count, pa.large_string()),
        }
    )


def _sightings(samples: pa.Table) -> pa.Table:
    fingerprint = pc.binary_join_element_wise(
        pc.cast(samples["size"], pa.string()), "1700000000000000000", "/"
    )
    return pa.table(
        {
            "location": samples["location"],
            "fingerprint": fingerprint,
            "source": samples["source"],
        }
    )


def _write(update: Update, name: str, rows: pa.Table, part: str = ALL) -> None:
    """Stage rows; columns that were not made are null."""
    for field in update.spec(name).schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.name, pa.nulls(rows.num_rows, field.type))
    update.write(name, rows, part)


def _times(seconds: npt.NDArray[np.int64]) -> pa.Array:
    start = int(_START.timestamp())
    return pa.array((seconds + start) * 1_000_000).cast(pa.timestamp("us")).cast(TIME)


def hex_strings(data: bytes, width: int) -> pa.Array:
    """Bytes as strings of hex digits, `width` bytes each, without a Python object for any of them."""
    text = np.frombuffer(data.hex().encode(), np.uint8)
    return _strings(text.reshape(-1, 2 * width))


def _strings(text: npt.NDArray[np.uint8]) -> pa.Array:
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))
    )
