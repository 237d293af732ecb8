"""What a release leaves behind: the build's files, a bill of materials, signed checksums, an apt repository.

<dist>/corpus-airflow_VERSION*              package, source, .buildinfo, .changes, bill of materials (.cdx.json)
<dist>/SHA256SUMS, SHA256SUMS.asc           of all of these
<dist>/corpus-airflow.asc                   the public key
<dist>/apt/                                 the repository, with the versions before
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from corpus.contract.version import Version, describe
from deploy.build.package.changelog import NAME
from deploy.build.package.repository import KEY_FILE, Repository
from deploy.build.package.sbom import sbom
from deploy.common.digest import sha256
from deploy.common.errors import BadPackageError

CHECKSUMS = "SHA256SUMS"


def lay_out(
    dist: Path,
    version: str,
    repository: Repository,
    key: Path | None = None,
    installed: Path | None = None,
) -> list[Path]:
    """Make a build in `dist` a release, and return its files; the signature comes last.

    Raises `BadPackageError` if the files are not those of the build, and what `sbom` and `Repository.add` do.
    """
    built = list(_built(dist, version))
    (package,) = [file for file in built if file.suffix == ".deb"]
    signature = dist / f"{CHECKSUMS}.asc"
    signature.unlink(missing_ok=True)
    # Before anything is published: locks that do not agree have none.
    content = json.dumps(sbom(package, installed=installed), indent=1)
    repository.add([package], key)
    bill = dist / f"{NAME}_{version}.cdx.json"
    bill.write_text(f"{content}\n")
    _copy(repository.public, dist / "apt")
    shutil.copyfile(repository.public / KEY_FILE, dist / KEY_FILE)
    files = sorted([*built, bill])
    lines = [f"{sha256(file)}  {file.name}\n" for file in files]
    (dist / CHECKSUMS).write_text("".join(lines))
    with repository.keys() as keys:
        keys.sign(dist / CHECKSUMS)
    return [*files, dist / CHECKSUMS, signature, dist / KEY_FILE]


def _built(dist: Path, version: str) -> Iterator[Path]:
    """The files that .changes lists, and itself; each as it was built."""
    found = sorted(dist.glob(f"{NAME}_{version}_*.changes"))
    if len(found) != 1:
        raise BadPackageError(
            f"{dist} holds {len(found)} builds of {NAME} {version}, and a release is of one: `make deb`."
        )
    listed = found[0].read_text(encoding="utf-8").partition("\nChecksums-Sha256:\n")[2]
    for line in listed.splitlines():
        if not line.startswith(" "):
            break
        digest, _, name = line.split()
        file = dist / name
        if not file.is_file() or sha256(file) != digest:
            raise BadPackageError(
                f"{file} is not what {found[0].name} lists: `make deb` builds it again."
            )
        yield file
    yield found[0]


def _copy(source: Path, target: Path) -> None:
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(source, new)
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dist", type=Path, default=Path("dist"), help="where the build is")
    parser.add_argument("--repo", type=Path, default=Path(".work/apt"), help="the repository")
    parser.add_argument("--key", type=Path, help="a file with the secret key to sign with")
    parser.add_argument("--version", type=Version.parse, help="instead of what git describes")
    parser.add_argument("--installed", type=Path, help="a folder site-packages, for licences")


def main(options: argparse.Namespace) -> int:
    version = (options.version or describe(Path.cwd())).debian
    repository = Repository(options.repo)
    for file in lay_out(options.dist, version, repository, options.key, options.installed):
        print(f"{file.stat().st_size / 1000:8.0f} kB  {file}")
    print(f"{len(repository.published())} versions in the repository {options.dist / 'apt'}")
    return 0
