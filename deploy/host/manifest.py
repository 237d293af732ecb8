"""What a release is made of: `release.json`, written when the package is built, checked wherever it lands."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.common.digest import sha256
from deploy.common.errors import BadInputError, DamagedError

# The packages of the bundle, beside each other in a release.
PACKAGES = ("corpus", "dags", "operators", "plugins")
FILE = "release.json"
# Also the name of a folder, and the version that Airflow shows for a run.
VERSION = re.compile(r"[0-9][0-9A-Za-z.+~-]*")
_TOLD = 5


@dataclass(frozen=True)
class Manifest:
    """A release: its version, the commit it was built of, and the sha256 of each of its files."""

    version: str
    revision: str
    files: dict[str, str]

    def __post_init__(self) -> None:
        if not VERSION.fullmatch(self.version):
            raise BadInputError(
                f"{self.version!r} is not a release version (expected something like 1.4.0 or 1.4.0+15.gabc)."
            )

    @property
    def digest(self) -> str:
        """sha256 over all names and contents: what the release is, whatever it is called."""
        lines = (f"{name}\0{digest}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @classmethod
    def of(cls, folder: Path, version: str, revision: str) -> Manifest:
        """Describe the packages in a folder as they are now."""
        return cls(version, revision, {name: sha256(folder / name) for name in _files(folder)})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises `DamagedError`."""
        file = folder / FILE
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(str(found["version"]), str(found["revision"]), dict(found["files"]))
        except FileNotFoundError:
            raise DamagedError(f"{folder} holds no release: {FILE} is missing.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{file} cannot be read: {error}") from None

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")

    def check(self, folder: Path) -> None:
        """Raises `DamagedError`, with the first few files that are missing, other, or not part of the release."""
        there = set(_files(folder))
        wrong = [f"{name} is missing" for name in self.files.keys() - there]
        wrong += [f"{name} is not part of it" for name in there - self.files.keys()]
        wrong += [
            f"{name} was changed"
            for name in self.files.keys() & there
            if sha256(folder / name) != self.files[name]
        ]
        if wrong:
            told = "".join(f"\n  {line}" for line in sorted(wrong)[:_TOLD])
            more = f"\n  and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
            raise DamagedError(
                f"{folder} is not release {self.version} as it was built:{told}{more}"
            )


def _files(folder: Path) -> Iterator[str]:
    """All files of the packages but what tools leave there, relative and sorted. Raises `DamagedError` at a link."""
    for package in PACKAGES:
        for parent, folders, files in os.walk(folder / package):
            folders[:] = sorted(
                name for name in folders if name != "__pycache__" and not name.startswith(".")
            )
            for name in sorted(files):
                path = Path(parent, name)
                if path.is_symlink():
                    raise DamagedError(f"{path} is a link; a release holds files.")
                yield str(path.relative_to(folder))
