"""The bill of materials of a package and of the images it runs in: CycloneDX 1.6, as JSON.

It is a function of the package's file, the locks and the licences: the same in, the same out.
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.build.package.changelog import NAME
from deploy.build.package.repository import Deb
from deploy.common.errors import BadPackageError, BadSourceError

REQUIREMENTS = Path("requirements")
# The images with Python of ours, and the locks that each is installed from.
IMAGES = {
    "airflow": ("build", "airflow"),
    "services": ("build", "services"),
    "extractor": ("build", "extractor"),
}
_MANIFEST = "./usr/share/corpus-airflow/payload/release.json"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# "# via NAME", or "#   NAME" below "# via"; a lock or a list that asks begins with a dash.
_VIA = re.compile(r"^ +# +(?:via +)?([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?$")
_LONGEST_NAME = 60

Json = dict[str, Any]


@dataclass
class Pinned:
    """A project that a lock names: the hashes of the files that may be installed, and who asks for it."""

    name: str
    version: str
    hashes: set[str] = field(default_factory=set)
    asked_by: set[str] = field(default_factory=set)

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{quote(self.version)}"


@dataclass(frozen=True)
class Described:
    """What a package's file says of itself; `date` is that of its commit."""

    deb: Deb
    revision: str
    date: datetime

    @property
    def purl(self) -> str:
        return f"pkg:deb/{NAME}/{NAME}@{quote(self.deb.version)}?arch=all"


def sbom(file: Path, requirements: Path = REQUIREMENTS, installed: Path | None = None) -> Json:
    """The bill of a package and of its images.

    :param installed: a folder site-packages, for the licences of what is there in the version of the locks.

    Raises `BadPackageError`, and `BadSourceError` for locks that do not agree.
    """
    package = describe(file)
    locks = {name: read_lock(requirements / f"{name}.lock") for name in _names()}
    pinned = _merged(locks)
    licences = _licences(installed)
    # An image's own name holds its reference together.
    images = {image: f"image:corpus-{image}@{package.deb.version}" for image in IMAGES}
    edges = {package.purl: set(images.values())}
    for image, parts in IMAGES.items():
        edges[images[image]] = {pinned[name].purl for part in parts for name in locks[part]}
    for one in pinned.values():
        edges.setdefault(one.purl, set())
        for name in one.asked_by & pinned.keys():
            edges.setdefault(pinned[name].purl, set()).add(one.purl)
    bill: Json = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": package.date.isoformat(),
            "component": _package(package),
        },
        "components": [
            *(_image(name, package, ref) for name, ref in sorted(images.items())),
            *(_library(one, licences) for _, one in sorted(pinned.items())),
        ],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(targets)} for ref, targets in sorted(edges.items())
        ],
    }
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    return {"serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, digest).urn, **bill}


def describe(file: Path) -> Described:
    """Raises `BadPackageError`."""
    deb = Deb.read(file)
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE
    ) as unpacked:
        assert unpacked.stdout is not None
        content = io.BytesIO(unpacked.stdout.read())
    if unpacked.returncode:
        raise BadPackageError(f"{file} cannot be unpacked.")
    with tarfile.open(fileobj=content) as archive:
        try:
            member = archive.getmember(_MANIFEST)
        except KeyError:
            raise BadPackageError(f"{file} holds no {_MANIFEST}.") from None
        stream = archive.extractfile(member)
        assert stream is not None
        revision = str(json.load(stream)["revision"])
    return Described(deb, revision, datetime.fromtimestamp(member.mtime, UTC))


def read_lock(file: Path) -> dict[str, Pinned]:
    """What a lock names, by canonical name. Raises `BadSourceError` if something has no hash."""
    found: dict[str, Pinned] = {}
    last = None
    for line in file.read_text(encoding="utf-8").splitlines():
        if pin := _PIN.match(line):
            last = found[_canonical(pin[1])] = Pinned(_canonical(pin[1]), pin[2])
        if last:
            last.hashes.update(_HASH.findall(line))
            if via := _VIA.match(line):
                last.asked_by.add(_canonical(via[1]))
    bare = sorted(one.name for one in found.values() if not one.hashes)
    if bare or not found:
        raise BadSourceError(
            f"{file} names {', '.join(bare) or 'nothing'} without a hash: `make lock`."
        )
    return found


def _names() -> list[str]:
    return sorted({part for parts in IMAGES.values() for part in parts})


def _merged(locks: Mapping[str, Mapping[str, Pinned]]) -> dict[str, Pinned]:
    merged: dict[str, Pinned] = {}
    for lock in locks.values():
        for name, one in lock.items():
            same = merged.setdefault(name, Pinned(name, one.version))
            if same.version != one.version:
                raise BadSourceError(
                    f"The locks name {name} as {same.version} and as {one.version}: `make lock`."
                )
            same.hashes |= one.hashes
            same.asked_by |= one.asked_by
    return merged


def _package(package: Described) -> Json:
    return {
        "type": "application",
        "bom-ref": package.purl,
        "name": NAME,
        "version": package.deb.version,
        "purl": package.purl,
        "hashes": _sha256s([package.deb.sha256]),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "pedigree": {"commits": [{"uid": package.revision}]},
    }


def _image(name: str, package: Described, reference: str) -> Json:
    return {
        "type": "container",
        "bom-ref": reference,
        "name": f"corpus-{name}",
        "version": package.deb.version,
    }


def _library(one: Pinned, licences: Mapping[tuple[str, str], Json]) -> Json:
    known = licences.get((one.name, one.version))
    return {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
        "hashes": _sha256s(one.hashes),
        **({"licenses": [known]} if known else {}),
    }


def _sha256s(digests: Iterable[str]) -> list[Json]:
    return [{"alg": "SHA-256", "content": digest} for digest in sorted(digests)]


def _licences(installed: Path | None) -> dict[tuple[str, str], Json]:
    """Of what is installed, where it says so in a word: by project and version."""
    if installed is None:
        return {}
    found = {}
    for one in metadata.distributions(path=[str(installed)]):
        told: Any = one.metadata
        licence = _licence(told)
        if licence:
            found[_canonical(told["Name"]), one.version] = licence
    return found


def _licence(told: Message) -> Json | None:
    if expression := told.get("License-Expression"):
        return {"expression": expression}
    classifiers = [text.split(" :: ") for text in told.get_all("Classifier", [])]
    names = [parts[-1] for parts in classifiers if parts[0] == "License" and len(parts) > 2]
    name = " and ".join(sorted(names)) or (told.get("License") or "").strip()
    if not name or "\n" in name or len(name) > _LONGEST_NAME:
        return None
    return {"license": {"name": name}}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", type=Path, help="the .deb")
    parser.add_argument("--installed", type=Path, help="a folder site-packages, for licences")


def main(options: argparse.Namespace) -> int:
    print(json.dumps(sbom(options.package, installed=options.installed), indent=1))
    return 0
