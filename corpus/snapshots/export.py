"""Write a snapshot to one file, for tools that know nothing of a corpus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from corpus.errors import BadInputError
from corpus.snapshots.dataset import CLASSES, Dataset
from corpus.store.atomic import atomic_write
from corpus.store.object_store import Store
from corpus.store.snapshots import Snapshot


class ExportReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    snapshot: str = Field(description="Id of the snapshot.")
    file: str = Field(description="The file that was written.")
    format: str = Field(description="parquet or npz.")
    rows: int = Field(description="Samples in it.")
    size: int = Field(description="Its size in bytes.")


def export(
    store: Store,
    snapshot_id: str,
    out: str | os.PathLike[str],
    *,
    kind: Literal["parquet", "npz"] = "parquet",
    split: str | None = None,
    feature_set: str | None = None,
    force: bool = False,
) -> ExportReport:
    """Write a snapshot whole, or nothing.

    parquet has the columns of `Dataset.to_arrow`. npz has the samples with a vector: X
    float32 [n, dim], y int8 [n] (1 malicious, 0 benign, -1 unknown), sha256, label, split and
    group_id as text, no pickled object. Raises `BadInputError` if the file exists, unless `force`.
    """
    path = Path(out)
    if path.exists() and not force:
        raise BadInputError("it exists already.", file=str(path), hint="--force overwrites it.")
    if not path.parent.is_dir():
        raise BadInputError("there is no such folder.", file=str(path.parent))
    loaded = Dataset(Snapshot.open(store, snapshot_id))
    write = _parquet if kind == "parquet" else _npz
    with atomic_write(path) as stream:
        rows = write(loaded, stream, split, feature_set)
    size = path.stat().st_size
    return ExportReport(snapshot=loaded.id, file=str(path), format=kind, rows=rows, size=size)


def _parquet(loaded: Dataset, stream: IO[bytes], split: str | None, feature_set: str | None) -> int:
    import pyarrow.parquet as pq

    table = loaded.to_arrow(split, feature_set=feature_set)
    pq.write_table(table, stream, compression="zstd", row_group_size=16_384)
    return int(table.num_rows)


def _npz(loaded: Dataset, stream: IO[bytes], split: str | None, feature_set: str | None) -> int:
    rows, vectors = loaded.vectors(split, feature_set=feature_set)
    label = rows["label"].fill_null("unknown")
    y = label.replace_strict(CLASSES, return_dtype=pl.Int8).to_numpy()
    np.savez(
        stream,
        allow_pickle=False,
        X=vectors,
        y=y,
        sha256=_text(rows["sha256"]),
        label=_text(label),
        split=_text(rows["split"]),
        group_id=_text(rows["group_id"]),
    )
    return len(vectors)


def _text(values: pl.Series) -> NDArray[np.str_]:
    return values.fill_null("").to_numpy().astype(np.str_)
