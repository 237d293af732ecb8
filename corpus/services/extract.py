"""`extract`: feature vectors of an update's samples, one sandboxed file at a time.

Takes a shard's staged `samples` (and the `candidates` that are samples of the base already) and their
blobs; stages `features-NAME` and `failures`. Rows are sorted by sha256 and follow from the blobs
alone, so a shard that is done again gives the same vectors.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus import features
from corpus.errors import BadInput, Damaged, NotFound
from corpus.features import FeatureSet
from corpus.sandbox import Outcome, Sandbox, printable
from corpus.services.base import Context
from corpus.services.reports import ExtractReport
from corpus.services.requests import ExtractRequest
from corpus.store import blobs
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.updates import Update

_EXTRACTOR = "corpus.features.sandboxed:extractor"


def extract(request: ExtractRequest, context: Context) -> ExtractReport:
    """Stage vectors and failures of the samples of some shards.

    Those are the new samples that a shard owns, and the samples of the base that `collect` has put
    into it again, as far as these have no vector yet. A file that cannot be extracted gives one row
    of `failures` for each set that it has no vector of. Raises `NotFound` for an unknown update or
    feature set, and `BadInput` for a shard that the update does not have.
    """
    names = request.feature_sets or context.settings.features.sets
    sets = [features.get(name) for name in dict.fromkeys(names)]
    update = context.resume(request.update) if request.update else context.begin(request)
    shards = _shards(update, request.shards)
    reports = []
    with _Extraction(context, update, sets, request.jobs) as extraction:
        for shard in shards:
            reports.append(extraction.run(shard))
            update.write_report("extract", reports[-1].model_dump(mode="json"), shard)
    failures = sum((Counter(report.failures) for report in reports), Counter[str]())
    return ExtractReport(
        update=update.id,
        shards=shards,
        samples=sum(report.samples for report in reports),
        vectors={s.name: sum(report.vectors[s.name] for report in reports) for s in sets},
        failures=dict(sorted(failures.items())),
    )


def _shards(update: Update, asked: Sequence[str]) -> list[str]:
    names = (key.rsplit("/", 1)[-1].removesuffix(".parquet") for key in update.parts("samples"))
    known = sorted({*update.shards(), *names})
    for shard in asked:
        if shard not in known:
            raise BadInput(
                f"update {update.id} has no shard {shard!r}.",
                field="shards",
                hint=f"It has {len(known)}, named like shard-0000.",
            )
    return sorted(set(asked)) if asked else known


class _Extraction:
    """Extracts shard after shard with the same warm children."""

    def __init__(
        self, context: Context, update: Update, sets: Sequence[FeatureSet], jobs: int | None
    ):
        self.context = context
        self.update = update
        self.sets = {feature_set.name: feature_set for feature_set in sets}
        self.jobs = jobs or context.settings.features.jobs
        self._sandboxes: dict[tuple[str, ...], Sandbox] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, shard: str) -> ExtractReport:
        """Extract one shard, and stage what it gives."""
        wanted = self._wanted(shard)
        staged = _Staged(self.sets)
        groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for sha256 in sorted(wanted):
            groups[wanted[sha256]].append(sha256)
        done = 0
        for names, sha256s in sorted(groups.items()):
            blamed = []
            for outcome in self._outcomes(names, sha256s, staged):
                done += 1
                self.context.progress.step(f"extract {shard}", done, len(wanted))
                if outcome.reason in ("timeout", "memory", "crash") and len(names) > 1:
                    blamed.append(outcome.key)
                else:
                    staged.add(names, outcome)
            # One set may be to blame; the others' vectors are not lost with it.
            for name in names if blamed else ():
                for outcome in self._outcomes((name,), blamed, staged):
                    staged.add((name,), outcome)
        report = ExtractReport(
            update=self.update.id,
            shards=[shard],
            samples=len(wanted),
            vectors={name: len(staged.rows[name]) for name in self.sets},
            failures=dict(sorted(Counter(row["reason"] for row in staged.failures).items())),
        )
        staged.write(self.update, shard)
        self.context.progress.say(
            f"extract {shard}: {report.samples} samples, "
            + ", ".join(f"{count} vectors of {name}" for name, count in report.vectors.items())
            + f", {len(staged.failures)} failures."
        )
        return report

    def _wanted(self, shard: str) -> dict[str, tuple[str, ...]]:
        """Samples of a shard, each with the names of the sets that it needs vectors of."""
        wanted: dict[str, tuple[str, ...]] = {}
        known = self._known(shard)
        for name in self.sets:
            base = self.update.base
            if known and base and name in base.feature_sets:
                have = base.scan(FEATURES_PREFIX + name, ["sha256"], keys=known)["sha256"]
                missing = set(known) - set(have.to_pylist())
            else:
                missing = set(known)
            for sha256 in missing:
                wanted[sha256] = (*wanted.get(sha256, ()), name)
        if self.update.has("samples", shard):
            for sha256 in self.update.samples_of(shard)["sha256"].to_pylist():
                wanted[sha256] = tuple(self.sets)
        return wanted

    def _known(self, shard: str) -> list[str]:
        """Samples of the base in this shard and in none before it."""
        if not self.update.has(CANDIDATES.name, shard):
            return []
        own = self.update.read(CANDIDATES.name, ["known_sha256"], shard)["known_sha256"]
        own = pc.unique(own.drop_null())
        earlier = [
            key
            for key in self.update.parts(CANDIDATES.name)
            if key.rsplit("/", 1)[-1] < f"{shard}.parquet"
        ]
        if earlier and len(own):
            seen = self.update.store.dataset(earlier, CANDIDATES.schema).to_table(
                columns=["known_sha256"], filter=pc.field("known_sha256").isin(own)
            )["known_sha256"]
            own = own.filter(pc.invert(pc.is_in(own, value_set=seen.combine_chunks())))
        known: list[str] = own.to_pylist()
        return known

    def _outcomes(
        self, names: tuple[str, ...], sha256s: Sequence[str], staged: _Staged
    ) -> Iterator[Outcome]:
        def payloads() -> Iterator[tuple[str, bytes]]:
            for sha256 in sha256s:
                try:
                    data = blobs.get(self.update.store, sha256)
                except (Damaged, NotFound) as error:
                    detail = f"{type(error).__name__}: {error.message}"
                    staged.add(names, Outcome(sha256, reason="error", detail=detail))
                    continue
                yield sha256, data

        return self._sandbox(names).map(payloads())

    def _sandbox(self, names: tuple[str, ...]) -> Sandbox:
        if names not in self._sandboxes:
            settings = self.context.settings.features
            self._sandboxes[names] = self._stack.enter_context(
                Sandbox(
                    _EXTRACTOR,
                    jobs=self.jobs,
                    timeout_s=settings.timeout_s,
                    memory_bytes=settings.memory_bytes,
                    recycle_after=settings.recycle_after,
                    factory_arguments=names,
                )
            )
        return self._sandboxes[names]


class _Staged:
    """Vectors and failures of one shard, until all of it is written."""

    def __init__(self, sets: dict[str, FeatureSet]):
        self.sets = sets
        self.rows: dict[str, list[tuple[str, np.ndarray, str]]] = {name: [] for name in sets}
        self.failures: list[dict[str, Any]] = []

    def add(self, names: Sequence[str], outcome: Outcome) -> None:
        for name in names:
            if outcome.reason:
                self._fail(name, outcome, outcome.reason, outcome.detail)
                continue
            result = outcome.value.get(name, {}) if isinstance(outcome.value, dict) else {}
            if isinstance(result, dict) and isinstance(result.get("error"), str):
                self._fail(name, outcome, "error", printable(result["error"]))
            elif _sound(result, self.sets[name].dim):
                self.rows[name].append((outcome.key, result["vector"], result["raw"]))
            else:
                self._fail(name, outcome, "crash", "the child's answer is broken")

    def _fail(self, name: str, outcome: Outcome, reason: str, detail: str) -> None:
        self.failures.append(
            {
                "sha256": outcome.key,
                "service": "extract",
                "feature_set": name,
                "reason": reason,
                "detail": detail,
                "elapsed_s": outcome.elapsed_s,
                "peak_memory_bytes": outcome.peak_memory_bytes,
            }
        )

    def write(self, update: Update, shard: str) -> None:
        """Stage one part a set of vectors, and of failures: sets may be extracted one by one."""
        for name, feature_set in self.sets.items():
            table = FEATURES_PREFIX + name
            rows = sorted(self.rows[name], key=lambda row: row[0])
            if rows or update.has(table, shard):
                update.write(table, _vectors(rows, feature_set.dim), shard)
            failures = [row for row in self.failures if row["feature_set"] == name]
            failures.sort(key=lambda row: str(row["sha256"]))
            part = f"extract-{name}-{shard}"
            if failures or update.has("failures", part):
                update.write("failures", failures, part)


def _sound(result: Any, dim: int) -> bool:
    """Whether a child's answer is what it should be: it has read a hostile file."""
    try:
        vector, raw = result["vector"], result["raw"]
        raw.encode()
        return bool(
            vector.dtype == np.float32 and vector.shape == (dim,) and np.isfinite(vector).all()
        )
    except (AttributeError, KeyError, TypeError, UnicodeEncodeError):
        return False


def _vectors(rows: Sequence[tuple[str, np.ndarray, str]], dim: int) -> pa.Table:
    flat = np.concatenate([vector for _, vector, _ in rows]) if rows else np.empty(0, np.float32)
    digests = [hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest() for _, vector, _ in rows]
    return pa.table(
        {
            "sha256": pa.array([sha256 for sha256, _, _ in rows], pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), dim),
            "vector_sha256": pa.array(digests, pa.string()),
            "raw": pa.array([raw for _, _, raw in rows], pa.large_string()),
        }
    )
