"""Load a snapshot to train on: as an Arrow table, a polars frame or NumPy arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from corpus.contract.splits import SPLITS
from corpus.errors import BadInputError
from corpus.settings import Settings
from corpus.store.arrow_frame import frame
from corpus.store.frames import published
from corpus.store.object_store import Store
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshots import Snapshot

FILE_TYPES = ("pe", "elf")
LABELS = ("malicious", "benign", "unknown")
# What a label is in `y`.
CLASSES = {"benign": 0, "malicious": 1, "unknown": -1}
VECTOR, RAW = "vector", "raw"

# Where each column comes from, in the order of a loaded table.
_SOURCES = {
    "sha256": "samples", "label": "labels", "family": "labels", "split": "splits",
    "group_id": "groups", "file_type": "samples", "arch": "samples", "size": "samples",
    "first_seen": "splits", "source": "samples", "location": "samples", "tags": "samples",
    "md5": "samples", "sha1": "samples", "tlsh": "samples", "imphash": "samples", "confidence": "labels",
    "family_confidence": "labels", "reason": "labels", "provisional": "labels",
    "resolved_at": "labels",
}  # fmt: skip
_DEFAULT = list(_SOURCES)[:12]
# One value, several, or no restriction.
Choice = str | Sequence[str] | None


def open_snapshot(
    id: str = "latest",
    root: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
) -> Dataset:
    """Open a published snapshot for reading.

    `root` is a folder or an fsspec URL; without it the settings say where. Raises `NotFoundError`.
    """
    if settings is None:
        settings = Settings.load({"store": {"root": os.fspath(root)}} if root is not None else None)
    url = settings.store.root if root is None else os.fspath(root)
    return Dataset(Snapshot.open(Store(url, settings.store.revealed()), id))


class Dataset:
    """A published snapshot: `id`, `manifest`, `counts`, and its rows in the order of their sha256."""

    def __init__(self, snapshot: Snapshot):
        self.snapshot = snapshot
        self.id = snapshot.id
        self.manifest = snapshot.manifest
        self.counts = snapshot.manifest["counts"]
        self.feature_sets = snapshot.feature_sets

    def __repr__(self) -> str:
        return (
            f"<snapshot {self.id} of {self.snapshot.store.url}: {self.counts['samples']} samples>"
        )

    @property
    def columns(self) -> list[str]:
        """The columns that a table has unless others are asked for; `vector` is the last."""
        return [*_DEFAULT, *([VECTOR] if self.feature_sets else [])]

    def to_arrow(
        self,
        split: Choice = None,
        columns: Sequence[str] | None = None,
        label: Choice = None,
        file_type: Choice = None,
        feature_set: str | None = None,
    ) -> pa.Table:
        """One row a sample; `split`, `label` and `file_type` choose one value or several.

        Without `columns`: sha256, label, family, split, group_id, file_type, arch, size (bytes),
        first_seen, source, location, tags and vector (fixed-size list of float32, null if its
        extraction failed). Naming columns without `vector` reads no vectors. There are also md5,
        sha1, tlsh, imphash, confidence, family_confidence, reason, provisional and resolved_at of the
        label, and raw (the raw features as JSON). `feature_set` says whose vectors, if the
        snapshot has several. Raises `BadInputError` for a value or a column that cannot be.
        """
        if isinstance(columns, str):
            raise BadInputError(
                f"columns is a list of names, not the text {columns!r}.",
                field="columns",
                hint=f"Use: columns=[{columns!r}].",
            )
        names = self.columns if columns is None else list(columns)
        for name in names:
            if name not in (*_SOURCES, VECTOR, RAW):
                known = ", ".join((*_SOURCES, VECTOR, RAW))
                raise BadInputError(
                    f"there is no column {name!r}.", field="columns", hint=f"Use: {known}."
                )
        chosen = {"split": split, "label": label, "file_type": file_type}
        rows = self._rows([name for name in names if name in _SOURCES], chosen)
        keys = rows["sha256"]
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if VECTOR in names:
            of = self._feature_set(feature_set)
            vectors, present = self._vectors(keys, of)
            table = table.append_column(VECTOR, _vector_column(vectors, present))
        if RAW in names:
            of = self._feature_set(feature_set)
            found = published(self.snapshot, FEATURES_PREFIX + of, ["sha256", RAW], keys)
            raw = keys.to_frame().join(found, on="sha256", how="left", maintain_order="left")
            table = table.append_column(RAW, raw[RAW].to_arrow())
        return table.select(names)

    def to_polars(
        self,
        split: Choice = None,
        columns: Sequence[str] | None = None,
        label: Choice = None,
        file_type: Choice = None,
        feature_set: str | None = None,
    ) -> pl.DataFrame:
        """The same rows as `to_arrow` gives, as a polars frame; `vector` is an array column."""
        return frame(self.to_arrow(split, columns, label, file_type, feature_set))

    def to_numpy(
        self,
        split: Choice = None,
        *,
        labels: Sequence[str] = ("benign", "malicious"),
        feature_set: str | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """X float32 [n, dim], C-contiguous, and y int8 [n]: 0 benign, 1 malicious, -1 unknown.

        Samples without a vector are left out, and those of unknown label unless `labels` has
        "unknown". Without `split`, samples of all splits are given.
        """
        rows, vectors = self.vectors(split, labels=labels, feature_set=feature_set)
        y = rows["label"].replace_strict(CLASSES, return_dtype=pl.Int8).to_numpy(writable=True)
        return vectors, y

    def vectors(
        self,
        split: Choice = None,
        *,
        labels: Choice = None,
        feature_set: str | None = None,
    ) -> tuple[pl.DataFrame, NDArray[np.float32]]:
        """Samples that have a vector (sha256, label, split, group_id), and their vectors [n, dim]."""
        of = self._feature_set(feature_set)
        chosen = {"split": split, "label": labels, "file_type": None}
        rows = self._rows(["sha256", "label", "split", "group_id"], chosen)
        having = published(self.snapshot, FEATURES_PREFIX + of, ["sha256"])
        rows = rows.join(having, on="sha256", how="semi", maintain_order="left")
        return rows, self._vectors(rows["sha256"], of)[0]

    def labels(self, as_of: datetime | str | None = None) -> pa.Table:
        """Labels with their provenance; with `as_of` (a text is ISO 8601), as they stood then."""
        if as_of is None:
            return self.snapshot.scan("labels").sort_by("sha256")
        from corpus.snapshots.label_history import labels_as_of

        return labels_as_of(self.snapshot, as_of).sort_by("sha256")

    def failures(self) -> pa.Table:
        """What could not be extracted or read, one row a sample, service and feature set."""
        return self.snapshot.scan("failures").sort_by([("sha256", "ascending")])

    def rejects(self) -> pa.Table:
        """Files that did not become samples, each with its reason."""
        return self.snapshot.scan("rejects").sort_by([("location", "ascending")])

    def _feature_set(self, name: str | None) -> str:
        known = sorted(self.feature_sets)
        hint = f"It has: {', '.join(known) or 'none'}."
        if name is None:
            if len(known) == 1:
                return known[0]
            problem = "several feature sets; choose one" if known else "no feature set"
            raise BadInputError(
                f"snapshot {self.id} has {problem}.", field="feature_set", hint=hint
            )
        if name not in self.feature_sets:
            problem = f"snapshot {self.id} has no feature set {name!r}."
            raise BadInputError(problem, field="feature_set", hint=hint)
        return name

    def _rows(self, columns: Sequence[str], chosen: dict[str, Choice]) -> pl.DataFrame:
        wanted = {name: self._values(name, value) for name, value in chosen.items()}
        needed = ["sha256", *columns, *(name for name, values in wanted.items() if values)]
        rows = published(self.snapshot, "samples", _of_table("samples", needed))
        for table in ("labels", "splits", "groups"):
            names = _of_table(table, needed)
            if len(names) > 1:
                found = published(self.snapshot, table, names)
                rows = rows.join(found, on="sha256", how="left")
        for name, values in wanted.items():
            if values:
                rows = rows.filter(pl.col(name).is_in(values))
        return rows.sort("sha256").select(list(dict.fromkeys(["sha256", *columns])))

    def _values(self, name: str, choice: Choice) -> list[str]:
        values = [choice] if isinstance(choice, str) else list(choice or ())
        known = {"split": SPLITS, "label": LABELS}.get(
            name, (*FILE_TYPES, *self.counts["file_types"])
        )
        for value in values:
            if value not in known:
                hint = f"There are: {', '.join(dict.fromkeys(known))}."
                raise BadInputError(f"there is no {name} {value!r}.", field=name, hint=hint)
        if choice is not None and not values:
            raise BadInputError(f"an empty list of values chooses no {name}.", field=name)
        return values

    def _vectors(self, keys: pl.Series, name: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors of these sorted keys, zeros for those that have none, and which have one: float32 [n, dim] and
        bool [n].

        Filled file by file into one array, so that no second copy of all vectors ever exists.
        """
        spec = self.snapshot.spec(FEATURES_PREFIX + name)
        vectors = np.zeros((len(keys), self.feature_sets[name]), np.float32)
        present = np.zeros(len(keys), np.bool_)
        # The newest file comes last: its row takes the place of an older one of the same sample.
        entries = sorted(self.snapshot.files(spec.name), key=itemgetter("sequence"))
        if not len(keys) or not entries:
            return vectors, present
        dataset = self.snapshot.store.dataset([entry["key"] for entry in entries], spec.schema)
        rows = frame(dataset.to_table(columns=["sha256"]))
        places = keys.to_frame().with_row_index("place")
        found = rows.join(places, on="sha256", how="left", maintain_order="left")["place"]
        place = found.cast(pl.Int64).fill_null(-1).to_numpy()
        start = 0
        for batch in dataset.to_batches(columns=[VECTOR], batch_size=8192):
            here = place[start : start + batch.num_rows]
            start += batch.num_rows
            flat = batch[VECTOR].flatten().to_numpy().reshape(batch.num_rows, -1)
            vectors[here[here >= 0]] = flat[here >= 0]
        present[place[place >= 0]] = True
        return vectors, present


def _of_table(table: str, columns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(["sha256", *(c for c in columns if _SOURCES[c] == table)]))


def _vector_column(
    vectors: NDArray[np.float32], present: NDArray[np.bool_]
) -> pa.FixedSizeListArray:
    item = pa.list_(pa.field("item", pa.float32()), vectors.shape[1])
    missing = None if present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=item, mask=missing)
