"""What the gates `schema` and `leakage` look for in staged rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.changes.rows import Rows
from corpus.contract.splits import SIDES, SPLITS
from corpus.errors import NotFoundError
from corpus.store.arrow_frame import frame
from corpus.store.frames import published, staged_in_every_part
from corpus.store.schemas import FEATURES_PREFIX, TableSpec
from corpus.verdicts.record import VALUES

if TYPE_CHECKING:
    from corpus.store.staging import Update

ALLOWED: dict[str, dict[str, tuple[str, ...]]] = {
    "labels": {"label": VALUES},
    "splits": {"split": SPLITS},
    "verdicts": {"verdict": VALUES},
}
_HEX = r"^[0-9a-f]{64}$"
# Where a sha256 may be absent: nobody knows it of a file that could not be read.
_OPTIONAL = {("rejects", "sha256"), ("candidates", "expected_sha256"), ("candidates", "known_sha256"),
             ("groups", "neighbour"), ("merges", "via")}  # fmt: skip
_DIGESTS = ("sha256", "blob_sha256", "vector_sha256", "verdict_id", "expected_sha256", "known_sha256",
            "neighbour", "via")  # fmt: skip


def schema_violations(update: Update) -> list[str]:
    """What is wrong with the staged parts, each as `table/part: what`; sorted by part."""
    keys = [key for table in update.tables() for key in update.parts(table)]
    return [f"{key[len(update.prefix) + 1 :]}: {what}" for key in keys for what in _of(update, key)]


def _of(update: Update, key: str) -> Iterator[str]:
    table = key[len(update.prefix) + 1 :].split("/")[0]
    try:
        spec = update.spec(table)
    except (KeyError, NotFoundError):
        yield f"there is no table {table!r}"
        return
    with update.store.open(key) as stream:
        try:
            file = pq.ParquetFile(stream)
        except pa.ArrowInvalid as error:
            yield f"not a Parquet file ({error})"
            return
        if not file.schema_arrow.equals(spec.schema):
            yield _difference(file.schema_arrow, spec.schema)
            return
        # Raw features are large, and any text is allowed in them.
        rows = file.read([name for name in spec.schema.names if name != "raw"])
    yield from _rows(update, spec, rows)


def _rows(update: Update, spec: TableSpec, rows: pa.Table) -> Iterator[str]:
    for column, allowed in ALLOWED.get(spec.name, {}).items():
        fits = pc.is_in(rows[column], value_set=pa.array(allowed))
        if wrong := _false(fits):
            yield f"{wrong} rows with a {column} other than {', '.join(allowed)}"
    for column in _DIGESTS:
        if column in rows.column_names:
            optional = (spec.name, column) in _OPTIONAL
            fits = pc.fill_null(pc.match_substring_regex(rows[column], _HEX), optional)
            if wrong := _false(fits):
                yield f"{wrong} rows whose {column} is not 64 hexadecimal digits"
    if spec.key:
        names = frame(rows.select(list(spec.key)))
        if twice := names.height - names.unique().height:
            yield f"{twice} rows that repeat the key of another ({', '.join(spec.key)})"
    if spec.name.startswith(FEATURES_PREFIX):
        vectors = rows["vector"].combine_chunks()
        values = vectors.flatten()
        if vectors.null_count or values.null_count:
            yield "vectors with missing values"
        elif wrong := _false(pc.is_finite(values)):
            yield f"{wrong} values of vectors that are not finite numbers"
    origin = pc.and_(
        pc.equal(rows["update_id"], update.id), pc.equal(rows["sequence"], update.sequence)
    )
    if wrong := _false(pc.fill_null(origin, False)):
        yield f"{wrong} rows of another update"


def _false(fits: pa.ChunkedArray | pa.Array) -> int:
    return len(fits) - int(pc.sum(pc.cast(fits, pa.int64())).as_py() or 0)


def _difference(found: pa.Schema, wanted: pa.Schema) -> str:
    for name in wanted.names:
        if name not in found.names:
            return f"column {name!r} is missing"
        if found.field(name).type != wanted.field(name).type:
            return f"column {name!r} is {found.field(name).type}, not {wanted.field(name).type}"
    extra = [name for name in found.names if name not in wanted.names]
    return f"columns {extra} do not belong" if extra else "columns are not in their order"


def leaks(update: Update, rows: Rows) -> tuple[list[str], list[str], list[str]]:
    """Groups on several sides, samples in two splits, samples with an outdated group; each sorted.

    Looks at all staged rows, and at the parent's members of the groups that these touch: a group that
    nothing touches was judged when it was published.
    """
    every = staged_in_every_part(update, "splits", ["sha256", "split"])
    twice = every.group_by("sha256").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    stale = rows.after.filter(pl.col("split_group") != pl.col("group_id"))
    # The group a sample is in decides, not the one its split was made for.
    members = rows.after.select("group_id", "split")
    columns, keys = ["sha256", "split"], rows.neighbours["sha256"]
    others = rows.neighbours.join(published(update.parent, "splits", columns, keys), on="sha256")
    members = pl.concat([members, others.select("group_id", "split")])
    across = (
        members.filter(pl.col("split").is_in(SIDES))
        .group_by("group_id")
        .agg(pl.col("split").n_unique())
        .filter(pl.col("split") > 1, pl.col("group_id").is_not_null())
    )
    return (
        sorted(across["group_id"].to_list()),
        sorted(twice["sha256"].to_list()),
        sorted(stale["sha256"].to_list()),
    )
