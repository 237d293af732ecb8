"""Files to vectors, without a corpus: `corpus vectorize`.

The archive holds, in the order the files were given:

    sha256       text [n]
    X            float32 [n, dim]
    paths        text [n]
    feature_set  text: the set's name
    failures     text [m, 2]: path and reason of each file that has no row above
    failure_detail, failure_elapsed_s, failure_peak_memory_bytes    [m]
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
import zipfile
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from corpus import features
from corpus.contract.progress import Progress
from corpus.errors import BadInputError
from corpus.features.sandboxed import is_vector, sandbox, vectorizer
from corpus.sandbox import Outcome, printable
from corpus.settings import FeatureSettings
from corpus.store.atomic import atomic_write
from corpus.vectorize.npz import Matrix, Texts, write_array, write_texts

_SHA256 = re.compile("[0-9a-f]{64}")


class VectorizeReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    feature_set: str = Field(description="Name of the feature set.")
    file: str = Field(description="The archive that was written.")
    files: int = Field(description="Files that were given.")
    vectors: int = Field(description="Rows of X.")
    failures: dict[str, int] = Field(description="Files without a row, by reason.")
    seconds: float = Field(description="Wall-clock time.")
    files_per_s: float = Field(description="Files by seconds.")
    mb_per_s: float = Field(description="Megabytes of these files by seconds.")


def vectorize(
    paths: Iterable[str],
    out: Path,
    *,
    feature_set: str,
    settings: FeatureSettings,
    raw: Path | None = None,
    sandboxed: bool = True,
    total: int | None = None,
    progress: Progress | None = None,
) -> VectorizeReport:
    """Vectors of files, written whole to `out`, and with `raw` also a JSON line for each row.

    `settings` has the number of child processes and their limits; `total` files are expected.
    Without the sandbox all runs in this process, without limits. An old file is overwritten. Raises
    `NotFoundError` for an unknown set, `BadInputError` if there cannot be such a file, `PassingFaultError` if
    the disk is full.
    """
    chosen = features.get(feature_set)
    progress = progress or Progress()
    if raw and raw.resolve() == out.resolve():
        raise BadInputError("vectors and raw features cannot be the same file.", file=str(raw))
    began = time.monotonic()
    done = 0
    with ExitStack() as stack:
        archive = stack.enter_context(atomic_write(out))
        raw_rows = stack.enter_context(atomic_write(raw)) if raw else None
        rows = _Rows(Path(archive.name).parent, chosen.dim, raw_rows)
        # Half written, they may lie in a folder that was given.
        own = {os.path.basename(stream.name) for stream in (archive, raw_rows) if stream}
        given = (path for path in paths if os.path.basename(path) not in own)
        reader = _Reader(given, settings.memory_bytes)
        if sandboxed:
            arguments = [feature_set, raw is not None]
            children = stack.enter_context(sandbox(vectorizer, arguments, settings))
            outcomes = children.map(reader.payloads())
        else:
            outcomes = _unprotected(feature_set, raw is not None, reader.payloads())
        for done, outcome in enumerate(outcomes, 1):
            path, unread = reader.given.popleft()
            if unread:
                rows.fail(path, *unread)
            else:
                rows.add(path, outcome)
            rate = done / (time.monotonic() - began)
            failed = f", {rows.reasons.total()} failed" if rows.reasons else ""
            progress.step(f"vectorize, {rate:.0f} files/s{failed}", done, total)
        rows.write(archive, feature_set)
    seconds = time.monotonic() - began
    return VectorizeReport(
        feature_set=feature_set,
        file=str(out),
        files=done,
        vectors=rows.vectors.rows,
        failures=dict(sorted(rows.reasons.items())),
        seconds=round(seconds, 2),
        files_per_s=round(done / seconds, 1),
        mb_per_s=round(reader.size / 1e6 / seconds, 2),
    )


class _Reader:
    """Reads files one by one; `given` are those on their way, with reason and detail if unread."""

    def __init__(self, paths: Iterable[str], limit: int):
        self.paths = paths
        self.limit = limit
        self.size = 0
        self.given: deque[tuple[str, tuple[str, str] | None]] = deque()

    def payloads(self) -> Iterator[tuple[str, bytes]]:
        # An unreadable file goes the way of an empty one, so that all come out in order, and no more
        # of them wait than of others. No name here keeps a payload that has been handed on.
        for path in self.paths:
            yield path, self._take(path)

    def _take(self, path: str) -> bytes:
        data, unread = b"", None
        try:
            data = _read(path, self.limit)
        except (FileNotFoundError, NotADirectoryError):
            unread = "missing", "there is no such file"
        except MemoryError as error:
            unread = "memory", str(error)
        except (OSError, ValueError) as error:
            unread = "unreadable", getattr(error, "strerror", None) or str(error)
        self.given.append((path, unread))
        self.size += len(data)
        return data


def _read(path: str, limit: int) -> bytes:
    # Opening a pipe that nobody writes to would wait for ever.
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    ) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if status.st_size > limit:
            raise MemoryError(f"{status.st_size} bytes, and {limit} are allowed")
        return stream.read()


def _unprotected(name: str, raw: bool, payloads: Iterable[tuple[str, bytes]]) -> Iterator[Outcome]:
    """What the sandbox would give, but for what only it can catch, and for the peak of memory."""
    function = vectorizer(name, raw)
    for path, data in payloads:
        began = time.monotonic()
        try:
            if data:
                outcome = Outcome(path, function(data))
            else:
                outcome = Outcome(path, reason="empty", detail="the file has 0 bytes")
        except MemoryError as error:
            outcome = Outcome(path, reason="memory", detail=str(error))
        except Exception as error:
            detail = printable(f"{type(error).__name__}: {error}")
            outcome = Outcome(path, reason="error", detail=detail)
        del data
        yield replace(outcome, elapsed_s=time.monotonic() - began)


class _Rows:
    """The rows of an archive while they come in."""

    def __init__(self, folder: Path, dim: int, raw: IO[bytes] | None):
        self.dim = dim
        self.vectors = Matrix(folder, dim)
        self.sha256, self.paths = Texts(folder), Texts(folder)
        self.failed, self.reason, self.detail = Texts(folder), Texts(folder), Texts(folder)
        self.elapsed_s, self.peak_memory_bytes = array("d"), array("q")
        self.reasons: Counter[str] = Counter()
        self._raw = raw

    def add(self, path: str, outcome: Outcome) -> None:
        spent = outcome.elapsed_s, outcome.peak_memory_bytes
        if outcome.reason:
            self.fail(path, outcome.reason, outcome.detail, *spent)
            return
        if not self._sound(outcome.value):
            self.fail(path, "crash", "the child's answer is broken", *spent)
            return
        self.paths.append(path)
        self.sha256.append(outcome.value["sha256"])
        self.vectors.append(outcome.value["vector"])
        if self._raw:
            sha256, raw = outcome.value["sha256"], outcome.value["raw"]
            self._raw.write(f'{{"sha256":"{sha256}","raw":{raw}}}\n'.encode())

    def fail(
        self,
        path: str,
        reason: str,
        detail: str,
        elapsed_s: float = 0.0,
        peak_memory_bytes: int = 0,
    ) -> None:
        self.failed.append(path)
        self.reason.append(reason)
        self.detail.append(detail)
        self.elapsed_s.append(elapsed_s)
        self.peak_memory_bytes.append(peak_memory_bytes)
        self.reasons[reason] += 1

    def _sound(self, value: Any) -> bool:
        """Whether an answer is what it should be: who gave it has read a hostile file."""
        try:
            raw = value["raw"] if self._raw else "{}"
            json.loads(raw)
            return bool(
                _SHA256.fullmatch(value["sha256"])
                and is_vector(value["vector"], self.dim)
                and raw.isascii()
                and "\n" not in raw
            )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return False

    def write(self, stream: IO[bytes], feature_set: str) -> None:
        failures = (len(self.failed),)
        with zipfile.ZipFile(stream, "w") as archive:
            write_texts(archive, "sha256", [self.sha256])
            self.vectors.write(archive, "X")
            write_texts(archive, "paths", [self.paths])
            name = np.array(feature_set)
            write_array(archive, "feature_set", name.dtype.str, (), [name.tobytes()])
            write_texts(archive, "failures", [self.failed, self.reason])
            write_texts(archive, "failure_detail", [self.detail])
            for column, descr in (("elapsed_s", "<f8"), ("peak_memory_bytes", "<i8")):
                values = np.array(getattr(self, column), descr)
                write_array(archive, f"failure_{column}", descr, failures, [values.tobytes()])
