"""Prove a snapshot bit for bit: every file, every vector, every sample, and what they add up to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from corpus.changes import content
from corpus.contract.progress import Progress
from corpus.contract.splits import SIDES
from corpus.errors import CorpusError, DamagedError, NotFoundError
from corpus.store import blobs as blob_store
from corpus.store import format as formats
from corpus.store import manifest as manifests
from corpus.store.claims import log_key
from corpus.store.manifest import MANIFEST, ListedFile, Manifest
from corpus.store.object_store import Store, to_json
from corpus.store.records import checked
from corpus.store.schemas import FEATURES_PREFIX
from corpus.store.snapshots import LATEST, Snapshot

# Samples named in one finding; it says how many there are.
_EXAMPLES = 3


class Finding(BaseModel):
    """One thing that is not as it should be: where, and what is wrong with it."""

    key: str
    problem: str


class VerifyReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    snapshot: str = Field(description="Id of the snapshot.")
    ok: bool = Field(description="Whether everything is as it was published.")
    files: int = Field(description="Files that were hashed.")
    rows: int = Field(description="Rows in them.")
    vectors: int = Field(description="Vectors that were hashed.")
    blobs: int = Field(description="Samples that were read and hashed; 0 if it was not asked for.")
    content_digest: str = Field(description="The content digest, computed again from the rows.")
    findings: list[Finding] = Field(description="All that is wrong.")


def verify(
    store: Store,
    snapshot_id: str = "latest",
    *,
    blobs: bool = True,
    progress: Progress | None = None,
) -> VerifyReport:
    """Re-hash a snapshot: manifest, data, stats, card, content digest, references, samples, parents.

    Raises `NotFoundError` if there is no such snapshot, and `BadInputError` if the corpus has
    another format; all damage is a finding.
    """
    formats.check(store)
    return _Verification(store, snapshot_id, progress or Progress()).run(blobs)


class _Verification:
    def __init__(self, store: Store, snapshot_id: str, progress: Progress):
        self.store = store
        self.progress = progress
        self.findings: list[Finding] = []
        self.damaged: set[str] = set()
        self.files = self.rows = self.vectors = self.blobs = 0
        self.digest = ""
        self.id = self._id(snapshot_id)

    def run(self, blobs: bool) -> VerifyReport:
        manifest = self._manifest(self.id)
        if manifest is not None:
            snapshot = Snapshot(self.store, manifest)
            self._latest()
            self._chain(manifest)
            self._listed_files(manifest)
            # Of damaged files nothing is read: it would say no more, and readers may not survive it.
            if not self.damaged:
                for name in snapshot.feature_sets:
                    self._hash_vectors(snapshot, name)
                self._content(snapshot)
            if blobs and not self.damaged.intersection(e["key"] for e in snapshot.files("samples")):
                self._samples(snapshot)
        return VerifyReport(
            snapshot=self.id,
            ok=not self.findings,
            files=self.files,
            rows=self.rows,
            vectors=self.vectors,
            blobs=self.blobs,
            content_digest=self.digest,
            findings=self.findings,
        )

    def _find(self, key: str, problem: str) -> None:
        self.findings.append(Finding(key=key, problem=problem))

    # Manifests

    def _id(self, snapshot_id: str) -> str:
        if snapshot_id == "latest":
            try:
                return Snapshot.open(self.store).id
            except (KeyError, TypeError, DamagedError):
                # A damaged latest.json must not keep the snapshots from being checked.
                claimed = [s.id for s in Snapshot.every(self.store)]
                if not claimed:
                    raise
                self._find(LATEST, "cannot be read")
                return claimed[-1]
        if "/" in snapshot_id or not self.store.exists(manifests.manifest_key(snapshot_id)):
            Snapshot.open(self.store, snapshot_id)
        return snapshot_id

    def _latest(self) -> None:
        try:
            data = self.store.read_bytes(LATEST)
            latest = json.loads(data)
            named = self.store.read_json(manifests.manifest_key(latest["id"]))
            right = {"id": named["id"], "manifest_digest": named["manifest_digest"]}
            if data != to_json(right):
                self._find(LATEST, f"does not fit the manifest of {latest['id']}")
        except (ValueError, KeyError, TypeError, CorpusError, OSError) as error:
            # It may have been found already, when the newest snapshot was looked for.
            if all(finding.key != LATEST for finding in self.findings):
                self._find(LATEST, f"cannot be read: {error}")

    def _manifest(self, snapshot_id: str) -> Manifest | None:
        key = manifests.manifest_key(snapshot_id)
        try:
            data = self.store.read_bytes(key)
            self.files += 1
            manifest = checked(json.loads(data), MANIFEST, key)
            if manifest["manifest_digest"] != manifests.digest_of(manifest):
                self._find(key, "its bytes do not have the digest that it names")
            elif data != to_json(manifest):
                self._find(key, "its bytes are not canonical JSON")
            elif manifest["id"] != snapshot_id:
                self._find(key, f"it is the manifest of {manifest['id']}")
            else:
                self._claim(manifest)
            return manifest
        except (ValueError, RecursionError, CorpusError) as error:
            self._find(key, f"cannot be read: {error}")
            return None

    def _claim(self, manifest: Manifest) -> None:
        key = log_key(manifest["sequence"])
        self._compare(key, manifest["claim_sha256"], None)

    def _chain(self, manifest: Manifest) -> None:
        """Every ancestor's manifest has the digest that its child names."""
        while manifest["parent"] is not None:
            parent = self._manifest(manifest["parent"])
            if parent is None:
                return
            if parent["manifest_digest"] != manifest["parent_digest"]:
                key = manifests.manifest_key(manifest["parent"])
                self._find(key, f"is not the parent that {manifest['id']} was built on")
            manifest = parent

    # Files

    def _listed_files(self, manifest: Manifest) -> None:
        entries = [e for table in manifest["tables"].values() for e in table["files"]]
        listed: list[ListedFile] = [*entries, *manifest["files"]]
        for number, entry in enumerate(listed):
            self.progress.step("verify: files", number, len(listed))
            self._compare(entry["key"], entry["sha256"], entry["size"])
        self.rows += sum(entry["rows"] for entry in entries)

    def _compare(self, key: str, sha256: str, size: int | None) -> None:
        self.files += 1
        problem = None
        try:
            found = self.store.measure(key)
            if size is not None and found.size != size:
                problem = f"has {found.size} bytes, not {size}"
            elif found.sha256 != sha256:
                problem = f"has the sha256 {found.sha256}, not {sha256}"
        except NotFoundError:
            problem = "is missing"
        except (CorpusError, OSError) as error:
            problem = f"cannot be read: {error}"
        if problem:
            self.damaged.add(key)
            self._find(key, problem)

    # Rows

    def _hash_vectors(self, snapshot: Snapshot, name: str) -> None:
        table = FEATURES_PREFIX + name
        schema = snapshot.spec(table).schema
        for entry in snapshot.files(table):
            wrong: list[str] = []
            dataset = self.store.dataset([entry["key"]], schema)
            columns = ["sha256", "vector", "vector_sha256"]
            for batch in dataset.to_batches(columns=columns, batch_size=4096):
                self.progress.step(f"verify: vectors of {name}", self.vectors)
                self.vectors += batch.num_rows
                rows = vectors_of(batch["vector"])
                named = batch["vector_sha256"].to_pylist()
                for sha256, row, digest in zip(
                    batch["sha256"].to_pylist(), rows, named, strict=True
                ):
                    if hashlib.sha256(row.tobytes()).hexdigest() != digest:
                        wrong.append(sha256)
            self._samples_finding(
                entry["key"], "vectors that are not what their digest says", wrong
            )

    def _samples_finding(self, key: str, what: str, sha256: list[str]) -> None:
        if sha256:
            named = ", ".join(sha256[:_EXAMPLES]) + (", ..." if len(sha256) > _EXAMPLES else "")
            self._find(key, f"{len(sha256)} {what}: {named}")

    def _content(self, snapshot: Snapshot) -> None:
        manifest = snapshot.manifest
        rows = content.of_snapshot(snapshot)
        self.digest = content.digest_of(rows).hexdigest()
        key = manifests.manifest_key(snapshot.id)
        if self.digest != manifest["content_digest"]:
            self._find(key, f"the content digest of its rows is {self.digest}")
        if rows.height != manifest["counts"]["samples"]:
            self._find(key, f"its rows have {rows.height} samples")
        counts = manifest["counts"]
        for column, by_value in (
            ("label", counts["labels"]),
            ("file_type", counts["file_types"]),
            ("split", counts["splits"]),
        ):
            known = rows.filter(pl.col(column).is_not_null())
            counted = dict(sorted(known.group_by(column).len().rows()))
            named = {k: n for k, n in by_value.items() if k != "none"}
            if counted != named:
                self._find(key, f"by {column} its rows count {counted}, not {named}")
        for problem, sha256 in references(snapshot, rows):
            self._samples_finding(key, problem, sha256)

    # Blobs

    def _samples(self, snapshot: Snapshot) -> None:
        stored = snapshot.scan("samples", ["sha256", "blob_sha256", "blob_size"]).to_pylist()
        with ThreadPoolExecutor(4) as pool:
            for number, problem in enumerate(pool.map(self._sample, stored)):
                self.progress.step("verify: samples", number, len(stored))
                if problem is not None:
                    self._find(blob_store.key(stored[number]["sha256"]), problem)
        self.blobs = len(stored)

    def _sample(self, row: dict[str, Any]) -> str | None:
        try:
            record, _ = blob_store.read(self.store, row["sha256"])
        except Exception as error:
            return f"cannot be read: {error}"
        if record.blob_sha256 != row["blob_sha256"]:
            return f"has the sha256 {record.blob_sha256}, not {row['blob_sha256']}"
        if record.blob_size != row["blob_size"]:
            return f"has {record.blob_size} bytes, not {row['blob_size']}"
        return None


def references(snapshot: Snapshot, rows: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """What does not fit together: each problem, and the samples it is one of."""
    for column, what in (("label", "a label"), ("group_id", "a group"), ("split", "a split")):
        yield f"samples without {what}", rows.filter(pl.col(column).is_null())["sha256"].to_list()
    failed = pl.Series(snapshot.scan("failures", ["sha256"])["sha256"], dtype=pl.String)
    digests = [name for name in rows.columns if name.startswith(FEATURES_PREFIX)]
    empty = (
        pl.all_horizontal(pl.col(name).is_null() for name in digests) if digests else pl.lit(True)
    )
    lost = rows.filter(empty & ~pl.col("sha256").is_in(failed.implode()))
    yield "samples without a vector or a failure", lost["sha256"].to_list()
    sides = (
        rows.filter(pl.col("split").is_in(SIDES))
        .group_by("group_id")
        .agg(pl.col("split").n_unique())
    )
    torn = sides.filter(pl.col("split") > 1)["group_id"].sort().to_list()
    yield "groups on more than one side of the split", torn
    for table in ("groups", "splits", *digests):
        found = pl.Series(snapshot.scan(table, ["sha256"])["sha256"], dtype=pl.String)
        strays = found.filter(~found.is_in(rows["sha256"].implode()))
        yield f"rows of {table} whose sample is not there", strays.sort().to_list()


def vectors_of(column: pa.FixedSizeListArray) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector column as one float32 array [n, dim], little-endian, without a copy."""
    flat: np.ndarray[Any, np.dtype[np.float32]] = column.flatten().to_numpy(zero_copy_only=True)
    return flat.reshape(len(column), column.type.list_size)
