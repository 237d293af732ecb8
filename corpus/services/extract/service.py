"""`extract`: feature vectors of an update's samples, one sandboxed file at a time.

Takes a shard's pending samples and their blobs; stages `features-NAME` and `failures`. Rows are sorted by
sha256 and follow from the blobs alone, so a shard that is done again keeps the vectors that it has, and
tries again what failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from corpus import features
from corpus.contract.reports import ExtractReport
from corpus.contract.requests import ExtractRequest
from corpus.errors import BadInputError, DamagedError, NotFoundError
from corpus.features import FeatureSet
from corpus.features.sandboxed import extractor, sandbox
from corpus.sandbox import Outcome, Sandbox
from corpus.services.context import Context
from corpus.services.extract.shard_vectors import ShardVectors
from corpus.services.inputs.base import Inputs
from corpus.store import blobs
from corpus.store.staging import Update


def extract(request: ExtractRequest, context: Context) -> ExtractReport:
    """Stage vectors and failures of the samples of some shards.

    Those are the new samples that a shard owns, and the samples of the parent that `collect` has put
    into it again, as far as these have no vector yet. A file that cannot be extracted gives one row
    of `failures` for each set that it has no vector of. Vectors that a previous attempt has staged are
    kept: of an update that was stopped, only what is missing is extracted. Raises `NotFoundError` for an
    unknown update or feature set, and `BadInputError` for a shard that the update does not have.
    """
    sets = sets_of(request, context)
    update = context.resume(request) if request.update else context.begin(request)
    shards = shards_of(update, request.shards, context.inputs)
    reports = []
    with _Extraction(context, update, sets, request.jobs) as extraction:
        for shard in shards:
            reports.append(stage(update, extraction.run(shard)))
    return total(update, sets, reports)


def stage(update: Update, shard: ShardVectors) -> ExtractReport:
    """Stage what a shard gives, and leave its report with the update; return the report."""
    report = shard.report()
    shard.write()
    update.write_report("extract", report.model_dump(mode="json"), shard.name)
    return report


def sets_of(request: ExtractRequest, context: Context) -> list[FeatureSet]:
    """Return the feature sets that are asked for, each once. Raises `NotFoundError`."""
    names = request.feature_sets or context.settings.features.sets
    return [features.get(name) for name in dict.fromkeys(names)]


def total(
    update: Update, sets: Sequence[FeatureSet], reports: Sequence[ExtractReport]
) -> ExtractReport:
    """Return the report of several shards together."""
    failures = sum((Counter(report.failures) for report in reports), Counter[str]())
    return ExtractReport(
        update=update.id,
        shards=[shard for report in reports for shard in report.shards],
        samples=sum(report.samples for report in reports),
        vectors={s.name: sum(report.vectors[s.name] for report in reports) for s in sets},
        failures=dict(sorted(failures.items())),
    )


def shards_of(update: Update, asked: Sequence[str], inputs: Inputs) -> list[str]:
    """Return the shards that are asked for, all of the update by default. Raises `BadInputError`."""
    known = inputs.shards_to_extract(update)
    for shard in asked:
        if shard not in known:
            raise BadInputError(
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
        self.settings = context.settings.features
        if jobs:
            self.settings = self.settings.model_copy(update={"jobs": jobs})
        self._sandboxes: dict[tuple[str, ...], Sandbox] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, shard: str) -> ShardVectors:
        """Extract what a shard lacks; return its vectors and failures, which are not staged yet."""
        wanted = self.context.inputs.pending(self.update, list(self.sets), shard)
        staged = ShardVectors(self.sets, self.update, shard, wanted)
        groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for sha256, names in sorted(wanted.items()):
            if left := tuple(name for name in names if sha256 not in staged.kept[name]):
                groups[left].append(sha256)
        done, to_do = 0, sum(map(len, groups.values()))
        for names, sha256s in sorted(groups.items()):
            blamed = []
            for outcome in self._outcomes(names, sha256s, staged):
                done += 1
                self.context.progress.step(f"extract {shard}", done, to_do)
                if outcome.reason in ("timeout", "memory", "crash") and len(names) > 1:
                    blamed.append(outcome.key)
                else:
                    staged.add(names, outcome)
            # One set may be to blame; the others' vectors are not lost with it.
            for name in names if blamed else ():
                for outcome in self._outcomes((name,), blamed, staged):
                    staged.add((name,), outcome)
        report = staged.report()
        self.context.progress.say(
            f"extract {shard}: {report.samples} samples, "
            + ", ".join(f"{count} vectors of {name}" for name, count in report.vectors.items())
            + f", {len(staged.failures)} failures."
        )
        return staged

    def _outcomes(
        self, names: tuple[str, ...], sha256s: Sequence[str], staged: ShardVectors
    ) -> Iterator[Outcome]:
        def payloads() -> Iterator[tuple[str, bytes]]:
            for sha256 in sha256s:
                try:
                    data = blobs.get(self.update.store, sha256)
                except (DamagedError, NotFoundError) as error:
                    # The row says the same wherever the corpus lies, and in a workspace.
                    message = error.message.replace(f"{self.update.store.url}/", "")
                    detail = f"{type(error).__name__}: {message}"
                    staged.add(names, Outcome(sha256, reason="error", detail=detail))
                    continue
                yield sha256, data

        return self._sandbox(names).map(payloads())

    def _sandbox(self, names: tuple[str, ...]) -> Sandbox:
        if names not in self._sandboxes:
            self._sandboxes[names] = self._stack.enter_context(
                sandbox(extractor, names, self.settings)
            )
        return self._sandboxes[names]
