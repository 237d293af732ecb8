"""Reads one candidate: is it still the file that was listed, the one that was expected?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from corpus.settings import SourceSettings
from corpus.sources import filetype
from corpus.sources.archives import Executable, Finding, Problem, findings
from corpus.sources.files import Files, reason_of

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Candidate:
    """A source file as `collect` staged it; the fields are the columns of `candidates`."""

    location: str
    fingerprint: str
    expected_sha256: str | None
    first_seen: datetime | None
    source: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Candidate:
        """Read a row of the table `candidates`."""
        return cls(
            row["location"],
            row["fingerprint"],
            row["expected_sha256"],
            row["first_seen"],
            row["source"],
            tuple(row["tags"] or ()),
        )


def read(candidate: Candidate, files: Files, settings: SourceSettings) -> Iterator[Finding]:
    """The findings of a candidate; a last one marked `whole` takes back those before it.

    With an expected sha256, the file itself must have it, or a member of the archive that it is:
    then only that member is taken. Raises `PassingFaultError` if temporary space runs out.
    """
    location = candidate.location
    try:
        with files.open(location) as stream:
            yield from _content(stream, candidate, settings)
        # Looked at after reading, so that a change during it is noticed too.
        now = files.stat(location).fingerprint(candidate.expected_sha256)
    except FileNotFoundError:
        yield Problem(location, "changed", "gone since it was listed", whole=True)
    except OSError as error:
        yield Problem(location, "unreadable", reason_of(error), whole=True)
    else:
        if now != candidate.fingerprint:
            detail = f"was {candidate.fingerprint} when listed, is {now}"
            yield Problem(location, "changed", detail, whole=True)


def _content(
    stream: IO[bytes], candidate: Candidate, settings: SourceSettings
) -> Iterator[Finding]:
    location, expected = candidate.location, candidate.expected_sha256
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if not size:
        yield Problem(location, "empty", "0 bytes", "empty", 0)
        return
    found = findings(stream, location, size, settings)
    if expected is None:
        yield from found
        return
    head = stream.read(filetype.HEAD)
    stream.seek(0)
    if filetype.of(head) in filetype.ARCHIVES:
        digest = _digest(stream)
        if digest == expected:
            yield from found
        else:
            yield from _expected_member(found, candidate, digest, size)
        return
    for finding in found:
        if isinstance(finding, Problem):
            yield finding
            continue
        digest = finding.sha256 if isinstance(finding, Executable) else _digest(stream)
        yield finding if digest == expected else _mismatch(candidate, digest, size)


def _expected_member(
    found: Iterator[Finding], candidate: Candidate, digest: str, size: int
) -> Iterator[Finding]:
    """The one member that was expected; what else is in the archive is nobody's concern."""
    matched = failed = False
    for finding in found:
        if isinstance(finding, Problem):
            failed = True
            yield finding
        elif isinstance(finding, Executable) and finding.sha256 == candidate.expected_sha256:
            if not matched:
                yield finding
            matched = True
    if not matched and not failed:
        yield _mismatch(candidate, digest, size)


def _mismatch(candidate: Candidate, digest: str, size: int) -> Problem:
    detail = f"expected {candidate.expected_sha256}, the file has {digest}"
    return Problem(candidate.location, "hash_mismatch", detail, size=size, sha256=digest)


def _digest(stream: IO[bytes]) -> str:
    """sha256 of a whole stream, which is left at its start."""
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(_CHUNK):
        digest.update(block)
    stream.seek(0)
    return digest.hexdigest()
