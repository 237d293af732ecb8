"""The apt repository of the package: several versions beside each other, below one signed index.

<folder>/public/            what a web server, or file://, gives to apt
    corpus-airflow.asc      the public key, for signed-by
    dists/bookworm/         InRelease and the indexes, also by their hash
    pool/main/c/...         the packages
<folder>/aptly/             aptly's own database and pool
<folder>/keys/              GnuPG's home with the secret key; readable by its owner only

An index names its parts by their hash, and `InRelease` is replaced in one step: whoever reads while a version is
added gets the old repository or the new one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.build.package.changelog import NAME as PACKAGE
from deploy.build.package.keys import Keys
from deploy.build.package.programs import need, output
from deploy.common import atomic
from deploy.common.errors import BadPackageError

DISTRIBUTION = "bookworm"
COMPONENT = "main"
# The package fits every machine, and apt asks for the index of its own.
ARCHITECTURES = "all,amd64,arm64"
KEY_FILE = f"{PACKAGE}.asc"
_POINT = "filesystem:public:"


@dataclass(frozen=True)
class Deb:
    """A binary package: its version, and the sha256 of its file."""

    version: str
    sha256: str

    @classmethod
    def read(cls, file: Path) -> Deb:
        """Raises `BadPackageError` for what is not one of our packages."""
        if not file.is_file():
            raise BadPackageError(f"There is no package {file}: `make deb` builds one.")
        told = output("dpkg-deb", "--field", str(file), "Package", "Version")
        fields = _fields(told)
        if fields.get("Package") != PACKAGE:
            raise BadPackageError(
                f"{file} is the package {fields.get('Package')}; here belongs {PACKAGE}."
            )
        with file.open("rb") as stream:
            return cls(fields["Version"], hashlib.file_digest(stream, "sha256").hexdigest())


class Repository:
    """The repository below a folder. One change at a time; one that was killed is made good by the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.public = self.folder / "public"

    def add(self, files: Sequence[Path], key: Path | None = None) -> bool:
        """Add packages, sign, and publish; False if all of that was so already.

        :param key: a file with an exported secret key; without it the one used last, or else one that is made.

        Raises `BadPackageError` for what is not one of our packages, or is another build of a version that was published.
        """
        need("aptly", "gpg", "gpgconf", "dpkg-deb")
        wanted = {file: Deb.read(file) for file in files}
        with self._lock(), self.keys() as keys:
            published = self.published()
            for file, deb in wanted.items():
                if published.get(deb.version, deb.sha256) != deb.sha256:
                    raise BadPackageError(
                        f"{PACKAGE} {deb.version} was published with other contents than those of {file}, and hosts "
                        "may have it. A version is built once: a commit or a tag gives the next."
                    )
            new = [file for file, deb in wanted.items() if deb.version not in published]
            keys.choose(key)
            known = self.public / KEY_FILE
            signed = known.is_file() and known.read_text() == keys.exported()
            if signed and not new and self._is_whole():
                return False
            self._publish(new, keys)
            atomic.write(known, keys.exported())
        return True

    def keys(self) -> Keys:
        """What signs here."""
        return Keys(self.folder / "keys")

    def published(self) -> dict[str, str]:
        """The sha256 of each version that apt finds here."""
        if not self._index.is_file():
            return {}
        found = (_fields(part) for part in self._index.read_text(encoding="utf-8").split("\n\n"))
        return {fields["Version"]: fields["SHA256"] for fields in found if fields}

    @property
    def _index(self) -> Path:
        return self._dists / COMPONENT / "binary-all" / "Packages"

    @property
    def _dists(self) -> Path:
        return self.public / "dists" / DISTRIBUTION

    def _is_whole(self) -> bool:
        """Whether what is signed is the index that is there: it comes last, and may not have come."""
        digest = hashlib.sha256(self._index.read_bytes()).hexdigest()
        return digest in (self._dists / "InRelease").read_text(encoding="utf-8")

    def source(self, key: str = f"/etc/apt/keyrings/{KEY_FILE}") -> str:
        """The line for /etc/apt/sources.list.d of a host that sees this folder, and has the key."""
        return f"deb [signed-by={key}] {self.public.as_uri()} {DISTRIBUTION} {COMPONENT}"

    def _publish(self, files: Sequence[Path], keys: Keys) -> None:
        def aptly(*words: str) -> str:
            return output("aptly", f"-config={configuration}", *words, environment=keys.environment)

        configuration = self._configuration()
        if PACKAGE not in aptly("repo", "list", "-raw").split():
            aptly("repo", "create", f"-component={COMPONENT}", PACKAGE)
        if files:
            # A change that was killed may have left a package that no index names.
            aptly("repo", "add", "-force-replace", PACKAGE, *map(str, files))
        how = (
            "-batch",
            "-force-overwrite",
            "-skip-contents",
            "-skip-bz2",
            f"-gpg-key={keys.chosen}",
        )
        if DISTRIBUTION in aptly("publish", "list", "-raw").split():
            aptly("publish", "update", *how, DISTRIBUTION, _POINT)
        else:
            named = (f"-distribution={DISTRIBUTION}", f"-origin={PACKAGE}", f"-label={PACKAGE}")
            fits = ("-acquire-by-hash", f"-architectures={ARCHITECTURES}")
            aptly("publish", "repo", *how, *named, *fits, PACKAGE, _POINT)

    def _configuration(self) -> Path:
        """aptly's, anew each time, so that the folder may be moved."""
        file = self.folder / "aptly.json"
        places = {"public": {"rootDir": str(self.public), "linkMethod": "copy"}}
        settings = {"rootDir": str(self.folder / "aptly"), "FileSystemPublishEndpoints": places}
        atomic.write(file, json.dumps({**settings, "gpgProvider": "gpg"}, indent=1) + "\n")
        return file

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _fields(paragraph: str) -> dict[str, str]:
    lines = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" "))
    return {name: value for name, _, value in lines}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repo", type=Path, default=Path(".work/apt"), help="its folder")
    parser.add_argument("--key", type=Path, help="a file with the secret key to sign with")
    parser.add_argument("packages", type=Path, nargs="*", help="files to add (default: none)")


def main(options: argparse.Namespace) -> int:
    repository = Repository(options.repo)
    changed = repository.add(options.packages, options.key)
    print("Published." if changed else "Nothing has changed.", "There are:")
    for version, digest in repository.published().items():
        print(f"  {digest}  {version}")
    print(f"The key for signed-by: {repository.public / KEY_FILE}. A source for this host:")
    print(f"  {repository.source(str(repository.public / KEY_FILE))}")
    return 0
