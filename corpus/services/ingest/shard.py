"""Takes in one shard: reads its candidates, stores their executables, stages what was found."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from corpus.sandbox import Outcome, Sandbox
from corpus.services.context import Context
from corpus.services.ingest.identity import is_identity
from corpus.services.ingest.rows import Counts, ShardRows
from corpus.sources import filetype
from corpus.sources.archives import Executable, Other, Problem
from corpus.sources.candidate import Candidate, read
from corpus.store import blobs
from corpus.store.schemas import CANDIDATES
from corpus.store.staging import Update

# Read again by the next update: what was wrong may be over then.
PASSING = {"changed", "unreadable"}
# A blob's write waits for the disk, not for the processor: several at once take a quarter of the time.
WRITERS = 4
# Larger ones are waited for, so that few of them are in memory.
LARGE = 16 << 20


@dataclass
class _Sample:
    """What a sample's bytes say; `identity` comes from the sandbox, all None if it failed."""

    md5: str
    sha1: str
    size: int
    blob: Future[blobs.BlobRecord]
    identity: dict[str, Any]
    failure: Outcome | None = None


@dataclass
class Intake:
    """The work on one shard; keeps rows in memory, and of the files' bytes only those under way."""

    update: Update
    name: str
    file_types: frozenset[str]
    context: Context
    samples: dict[str, _Sample] = field(default_factory=dict)
    origins: dict[str, tuple[str, Candidate]] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    seen_files: dict[str, Candidate] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    # Samples whose blob was there before: known, or from an attempt that did not get to its end.
    stored: set[str] = field(default_factory=set)
    filtered: int = 0
    writes: deque[Future[blobs.BlobRecord]] = field(default_factory=deque)

    def run(self, sandbox: Sandbox) -> Counts:
        """Read the shard's candidates, store new samples, and stage what was found; return the counts."""
        rows = self.update.read(CANDIDATES.name, part=self.name).to_pylist()
        candidates = [Candidate.of(row) for row in rows if row["known_sha256"] is None]
        with ThreadPoolExecutor(WRITERS) as writers:
            self._identify(sandbox, self._new(candidates, writers))
            self._await_writes(0)
        known = self._known()
        self._identify(sandbox, self._again(sorted(self.stored & self.origins.keys() - known)))
        return self._stage(sorted(self.origins.keys() - known), len(known))

    def _identify(self, sandbox: Sandbox, items: Iterable[tuple[str, bytes]]) -> None:
        for outcome in sandbox.map(items):
            sample = self.samples[outcome.key]
            if outcome.reason:
                sample.failure = outcome
            elif is_identity(outcome.value):
                sample.identity = outcome.value
            else:
                broken = "the child's answer is broken"
                sample.failure = replace(outcome, value=None, reason="crash", detail=broken)

    def _new(
        self, candidates: list[Candidate], writers: ThreadPoolExecutor
    ) -> Iterator[tuple[str, bytes]]:
        """Bytes of the samples that have no blob yet; notes all that is found on the way."""
        store = self.update.store
        files = self.context.files(self.update)
        for done, candidate in enumerate(candidates):
            self.context.progress.step(f"{self.name}: files read", done, len(candidates))
            found: dict[str, str] = {}
            others: Counter[str] = Counter()
            problems: list[Problem] = []
            filtered = 0
            for finding in read(candidate, files, self.context.settings.sources):
                if isinstance(finding, Problem):
                    problems.append(finding)
                elif isinstance(finding, Other):
                    others[finding.file_type] += 1
                elif finding.file_type not in self.file_types:
                    filtered += 1
                else:
                    sha256, location = finding.sha256, finding.location
                    found[sha256] = min(location, found.get(sha256, location))
                    if sha256 in self.samples or sha256 in self.stored:
                        pass
                    elif store.exists(blobs.key(sha256)):
                        self.stored.add(sha256)
                    else:
                        self._put(finding, writers)
                        yield sha256, finding.data
                # The next file is read with this one's bytes out of memory.
                del finding
            if problems and problems[-1].whole:
                found, filtered, problems = {}, 0, problems[-1:]
                others.clear()
            self._note(candidate, found, others, problems, filtered)

    def _put(self, found: Executable, writers: ThreadPoolExecutor) -> None:
        write = writers.submit(blobs.put, self.update.store, found.sha256, found.data)
        self.samples[found.sha256] = _sample(found.data, write)
        self.writes.append(write)
        self._await_writes(0 if len(found.data) > LARGE else WRITERS)

    def _await_writes(self, left: int) -> None:
        """Wait until at most so many blobs are being written; raises what writing one raised."""
        while len(self.writes) > left:
            self.writes.popleft().result()

    def _again(self, stored: list[str]) -> Iterator[tuple[str, bytes]]:
        """Bytes of samples that an earlier attempt stored, read back and checked."""
        for sha256 in stored:
            blob, data = blobs.read(self.update.store, sha256)
            read_back: Future[blobs.BlobRecord] = Future()
            read_back.set_result(blob)
            self.samples[sha256] = _sample(data, read_back)
            yield sha256, data
            del data

    def _note(
        self,
        candidate: Candidate,
        found: dict[str, str],
        others: Counter[str],
        problems: list[Problem],
        filtered: int,
    ) -> None:
        for sha256, location in found.items():
            known = self.origins.get(sha256)
            if known is None or location < known[0]:
                self.origins[sha256] = (location, candidate)
        self.rejects += [_reject(problem, candidate) for problem in problems]
        self.rejects += [
            _reject(Problem(candidate.location, "unsupported", "", kind, files=files), candidate)
            for kind, files in sorted(others.items())
        ]
        self.filtered += filtered
        self.seen_files[candidate.location] = candidate
        if filtered or any(problem.reason in PASSING for problem in problems):
            self.unfinished.add(candidate.location)

    def _known(self) -> set[str]:
        rows = self.update.parent.scan("samples", ["sha256"], keys=sorted(self.origins))
        return set(rows["sha256"].to_pylist())

    def _stage(self, new: list[str], known: int) -> Counts:
        failed = [sha256 for sha256 in new if self.samples[sha256].failure]
        seen = [c for name, c in sorted(self.seen_files.items()) if name not in self.unfinished]
        rows = ShardRows(
            samples=[self._sample_row(sha256) for sha256 in new],
            rejects=self.rejects,
            failures=[self._failure_row(sha256) for sha256 in failed],
            seen_files=[seen_file(candidate) for candidate in seen],
            known=known,
            filtered=self.filtered,
        )
        return rows.stage(self.update, self.name)

    def _sample_row(self, sha256: str) -> dict[str, Any]:
        sample, (location, candidate) = self.samples[sha256], self.origins[sha256]
        blob = sample.blob.result()
        return {
            "sha256": sha256,
            "md5": sample.md5,
            "sha1": sample.sha1,
            "size": sample.size,
            **sample.identity,
            "first_seen": candidate.first_seen,
            "source": candidate.source,
            "location": location,
            "tags": list(candidate.tags),
            "blob_sha256": blob.blob_sha256,
            "blob_size": blob.blob_size,
        }

    def _failure_row(self, sha256: str) -> dict[str, Any]:
        failure = self.samples[sha256].failure or Outcome(sha256)
        return {
            "sha256": sha256,
            "service": "ingest",
            "feature_set": "",
            "reason": failure.reason,
            "detail": failure.detail,
            "elapsed_s": failure.elapsed_s,
            "peak_memory_bytes": failure.peak_memory_bytes,
        }


def _sample(data: bytes, blob: Future[blobs.BlobRecord]) -> _Sample:
    # The header alone gives these two, so they are known even if the identification fails.
    header = {"file_type": filetype.of(data), "arch": filetype.arch(data)}
    identity = {**header, "tlsh": None, "imphash": None}
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return _Sample(md5, sha1, len(data), blob, identity)


def _reject(problem: Problem, candidate: Candidate) -> dict[str, Any]:
    return {
        "location": problem.location,
        "source": candidate.source,
        "reason": problem.reason,
        "detail": problem.detail or None,
        "file_type": problem.file_type,
        "files": problem.files,
        "size": problem.size,
        "sha256": problem.sha256,
    }


def seen_file(candidate: Candidate) -> dict[str, Any]:
    """Return the row of `seen_files` by which the next update passes the candidate over."""
    return {
        "location": candidate.location,
        "fingerprint": candidate.fingerprint,
        "source": candidate.source,
    }
