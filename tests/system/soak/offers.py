"""The input of a soak: it grows with each update, and remembers what it has offered."""

from __future__ import annotations

import csv
import hashlib
import random
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.executables import small_pe
from tests.support.launchers import FIELDS

_FIRST_DAY = datetime(2025, 1, 6, tzinfo=UTC)
_HEADERS = 512


class Offers:
    """Small executables in a folder, one of each three inside an archive, and verdicts on them in a file.

    :param folder: gets `samples/`, `verdicts.csv` and what is under way.
    """

    def __init__(self, folder: Path, seed: int):
        self.samples, self.verdicts = folder / "samples", folder / "verdicts.csv"
        self.offered: list[str] = []
        self._folder = folder
        self._rng = random.Random(seed)
        self._batches = 0
        self.samples.mkdir(parents=True)
        self.add()

    def add(self) -> None:
        """Offer four more samples: two as files, one under two names, one in an archive; and a file that is none."""
        self._batches += 1
        made = [self._executable() for _ in range(4)]
        first, second, third, fourth = made
        for name, data in (("a", first), ("b", second), ("c", third), ("again", third)):
            self._put(f"{self._batches:04}-{name}.exe", data)
        self._put(f"{self._batches:04}-notes.txt", b"not an executable %d\n" % self._batches)
        archive = self._folder / "archive"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
            stream.writestr("inside.exe", fourth)
        archive.rename(self.samples / f"{self._batches:04}-d.zip")
        self.offered += [hashlib.sha256(data).hexdigest() for data in made]
        self._write_verdicts()

    def _executable(self) -> bytes:
        return small_pe()[:_HEADERS] + self._rng.randbytes(_HEADERS + self._rng.randint(0, 4096))

    def _put(self, name: str, data: bytes) -> None:
        # Whole at once: what reads the folder meanwhile finds no halves.
        under_way = self._folder / "under-way"
        under_way.write_bytes(data)
        under_way.rename(self.samples / name)

    def _write_verdicts(self) -> None:
        under_way = self._folder / "under-way"
        with under_way.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
            writer.writeheader()
            for number, sha256 in enumerate(self.offered):
                seen = (_FIRST_DAY + timedelta(days=number)).isoformat()
                malicious = number % 2 == 0
                writer.writerow(
                    {
                        "sha256": sha256, "verdict": "malicious" if malicious else "benign", "reporter": "analyst",
                        "reported_at": seen, "confidence": "0.9", "family": "soak.one" if malicious else "",
                        "first_seen": seen,
                    }
                )  # fmt: skip
        under_way.rename(self.verdicts)
