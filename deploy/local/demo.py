"""The demo's input: real, harmless executables inside public Windows wheels, kept as they come.

All of them are harmless: the verdicts that the demo makes up for them let some projects *play* the
malware, so that labels, splits and gates have something to work on.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from deploy.common import atomic
from deploy.local.wheels import Wheel, download

WHEELS = Path(__file__).with_name("demo_wheels.csv")
_FIELDS = ["sha256", "verdict", "reporter", "reported_at", "confidence", "family", "first_seen"]


@dataclass(frozen=True)
class DemoWheel(Wheel):
    """A pinned wheel, and the part it plays."""

    plays: str


def pinned() -> list[DemoWheel]:
    with WHEELS.open(newline="") as stream:
        return [
            DemoWheel(row["wheel"], row["sha256"], int(row["size"]), row["plays"])
            for row in csv.DictReader(stream)
        ]


def fetch(folder: Path) -> tuple[Path, Path]:
    """Bring the demo's samples and verdicts into a folder; returns where they are.

    What is there already is kept, so that files dropped in by hand stay, and no second download is made.
    """
    samples, verdicts = folder / "samples", folder / "verdicts.csv"
    samples.mkdir(parents=True, exist_ok=True)
    if verdicts.is_file():
        return samples, verdicts
    wheels = pinned()
    missing = [wheel for wheel in wheels if not wheel.is_in(samples)]
    total = sum(wheel.size for wheel in missing) / 1e6
    if missing:
        print(
            f"Bringing {len(missing)} Windows wheels as demo input ({total:.0f} MB) ...", flush=True
        )
    # Not among the samples: what is half-way there is none.
    incoming = folder / "incoming"
    gone = []
    for wheel, arrived in download(missing, incoming):
        if arrived:
            (incoming / wheel.name).replace(samples / wheel.name)
        else:
            gone.append(wheel.name)
    shutil.rmtree(incoming, ignore_errors=True)
    if gone and len(gone) == len(missing):
        print(
            "The package registry can't be reached: the demo takes the launchers that ship inside "
            "pip and setuptools instead.",
            flush=True,
        )
        launchers(samples)
    elif gone:
        print(f"Skipped, because it could not be downloaded: {', '.join(gone)}.", flush=True)
    _write_verdicts(samples, verdicts, wheels)
    return samples, verdicts


def launchers(samples: Path) -> None:
    """Copy the Windows launchers of the installed pip and setuptools."""
    for package, pattern in (("pip", "_vendor/distlib/*.exe"), ("setuptools", "*.exe")):
        spec = find_spec(package)
        if spec and spec.origin:
            for path in sorted(Path(spec.origin).parent.glob(pattern)):
                shutil.copy2(path, samples / f"{package}-{path.name}")


def _executables(path: Path) -> Iterator[tuple[bytes, datetime]]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            built = max(datetime(*info.date_time, tzinfo=UTC) for info in archive.infolist())
            for info in archive.infolist():
                data = archive.read(info)
                if data[:2] == b"MZ" or data[:4] == b"\x7fELF":
                    yield data, built
    elif path.suffix == ".exe":
        yield path.read_bytes(), datetime(2024, 1, 1, tzinfo=UTC)


def _write_verdicts(samples: Path, verdicts: Path, wheels: list[DemoWheel]) -> None:
    """Made-up verdicts: by the part a wheel plays; a launcher plays by the package it is from."""
    plays = {wheel.name: wheel.plays for wheel in wheels}
    rows: dict[str, dict[str, str]] = {}
    for path in sorted(samples.iterdir()):
        project = path.name.split("-")[0]
        part = plays.get(path.name, "malicious" if project == "pip" else "benign")
        if not part:
            continue  # left without a verdict, to show what `unknown` looks like
        for data, built in _executables(path):
            sha256 = hashlib.sha256(data).hexdigest()
            if sha256 in rows and rows[sha256]["first_seen"] <= built.isoformat():
                continue
            rows[sha256] = {
                "sha256": sha256, "verdict": part, "reporter": "demo", "reported_at": built.isoformat(), "confidence": "1.0",
                "family": f"demo.{project.lower()}" if part == "malicious" else "",
                "first_seen": built.isoformat(),
            }  # fmt: skip
    with atomic.replacing(verdicts) as new, new.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
