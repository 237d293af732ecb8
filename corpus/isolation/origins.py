"""The candidates of a shard, and which of them a row of a sandbox can come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from corpus.isolation.rows import RejectRow, SampleRow, SeenFileRow
from corpus.sources.candidate import Candidate
from corpus.sources.location import MEMBER
from corpus.store.schemas import CANDIDATES
from corpus.store.staging import Update

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Origins:
    """Looks up candidates by the location of a file, or of a member of an archive."""

    def __init__(self, update: Update, shard: str):
        self._by_location: defaultdict[str, list[Candidate]] = defaultdict(list)
        for row in update.read(CANDIDATES.name, part=shard).to_pylist():
            if row["known_sha256"] is None:
                self._by_location[row["location"]].append(Candidate.of(row))
        # A file's name may hold what separates a member from its archive, any number of times.
        self._lengths = sorted({len(location) for location in self._by_location})

    def of_sample(self, row: SampleRow) -> Candidate | None:
        """Return the candidate that a sample can come from: it says the same of what is not in the file."""
        for candidate in self._at(row.location):
            told = (_microseconds(candidate.first_seen), candidate.source, list(candidate.tags))
            whole = row.location == candidate.location
            expected = candidate.expected_sha256 in (None, row.sha256) or not whole
            if told == (row.first_seen, row.source, row.tags) and expected:
                return candidate
        return None

    def of_reject(self, row: RejectRow) -> Candidate | None:
        """Return a candidate at the reject's location that has its source."""
        return next((c for c in self._at(row.location) if c.source == row.source), None)

    def of_seen_file(self, row: SeenFileRow) -> Candidate | None:
        """Return the candidate that the row marks as seen: same location, fingerprint and source."""
        for candidate in self._by_location.get(row.location, ()):
            if (candidate.fingerprint, candidate.source) == (row.fingerprint, row.source):
                return candidate
        return None

    def _at(self, location: str) -> Iterator[Candidate]:
        for length in self._lengths:
            if length == len(location) or location.startswith(MEMBER, length):
                yield from self._by_location.get(location[:length], ())


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)
