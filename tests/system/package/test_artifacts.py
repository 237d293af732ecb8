"""What `make release` leaves in dist: checksums that hold, a signature, and a bill of materials that is one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.build.package.artifacts import lay_out
from deploy.build.package.build import Built
from deploy.build.package.programs import output
from deploy.build.package.repository import Deb, Repository
from deploy.build.package.sbom import IMAGES, REQUIREMENTS, read_lock, sbom
from deploy.common.errors import BadPackageError, BadSourceError
from deploy.host.manifest import Manifest
from tests.system.package.packages import REPO, WORKTREE, checkout

pytestmark = [
    pytest.mark.skipif(not shutil.which("aptly"), reason="aptly is not installed"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def dist(built: Built, tmp_path: Path) -> Path:
    """A folder with the build, and with another that a release does not concern."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for file in built.files:
        shutil.copy(file, folder)
    (folder / "corpus-airflow_0.0.1_all.deb").write_text("of another day")
    return folder


@pytest.fixture
def release(dist: Path, built: Built, tmp_path: Path) -> Path:
    lay_out(dist, built.version, Repository(tmp_path / "apt"))
    return dist


def names(built: Built) -> set[str]:
    return {file.name for file in built.files}


def test_it_holds_what_was_built_the_bill_checksums_key_and_repository(release: Path, built: Built):
    bill = f"corpus-airflow_{built.version}.cdx.json"
    assert {path.name for path in release.iterdir()} == {
        *names(built), bill, "SHA256SUMS", "SHA256SUMS.asc", "corpus-airflow.asc", "apt",
        "corpus-airflow_0.0.1_all.deb",
    }  # fmt: skip
    listed = dict(
        reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines()
    )
    assert listed.keys() == names(built) | {bill}
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=release, check=True)
    (served,) = (release / "apt" / "pool").rglob("*.deb")
    assert Deb.read(served) == Deb.read(built.deb)
    # The secret key stays where it is.
    assert not [path for path in release.rglob("*") if "private" in path.name]


@pytest.mark.skipif(WORKTREE, reason="a release is of a commit, and WORKTREE is set")
def test_make_release_makes_all_of_it(tmp_path: Path):
    clone = checkout()
    # Not the environment anew, which a release reads licences from and nothing else.
    command = ["make", "-o", "setup", "release"]
    given = [f"VENV={sys.prefix}", f"WORK={tmp_path}/work", f"REPO={tmp_path}/apt"]
    done = subprocess.run([*command, *given], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    dist = clone / "dist"
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)
    assert {"SHA256SUMS.asc", "corpus-airflow.asc", "apt"} < {path.name for path in dist.iterdir()}


def test_the_checksums_are_signed_by_the_key_beside_them(release: Path, tmp_path: Path):
    keyring = tmp_path / "pinned.gpg"
    output("gpg", "--dearmor", "--output", str(keyring), str(release / "corpus-airflow.asc"))
    verify = [
        "gpgv", "--keyring", keyring, release / "SHA256SUMS.asc", release / "SHA256SUMS",
    ]  # fmt: skip
    assert subprocess.run(verify, check=False).returncode == 0
    with (release / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  more\n")
    assert subprocess.run(verify, check=False).returncode == 1


def test_a_second_time_it_is_the_same(release: Path, built: Built, tmp_path: Path):
    def content() -> dict[str, str]:
        files = [path for path in release.rglob("*") if path.is_file() and path.suffix != ".asc"]
        return {
            str(path.relative_to(release)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    before = content()
    lay_out(release, built.version, Repository(tmp_path / "apt"))
    assert content() == before


def test_files_that_are_not_those_of_the_build_are_refused(
    dist: Path, built: Built, tmp_path: Path
):
    repository = Repository(tmp_path / "apt")
    with pytest.raises(BadPackageError, match="holds 0 builds of corpus-airflow 7"):
        lay_out(dist, "7.0.0", repository)
    with (dist / built.deb.name).open("ab") as deb:
        deb.write(b"\n")
    with pytest.raises(BadPackageError, match=r"is not what .* lists"):
        lay_out(dist, built.version, repository)
    (dist / built.deb.name).unlink()
    with pytest.raises(BadPackageError, match=r"is not what .* lists"):
        lay_out(dist, built.version, repository)
    assert not (dist / "SHA256SUMS").exists()
    assert repository.published() == {}


def test_without_a_bill_nothing_is_published(
    dist: Path, built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    locks = tmp_path / "checkout" / REQUIREMENTS
    shutil.copytree(REPO / REQUIREMENTS, locks)
    file = locks / "extractor.lock"
    file.write_text(re.sub(r"^numpy==\S+", "numpy==1.0", file.read_text(), flags=re.MULTILINE))
    monkeypatch.chdir(locks.parent)
    repository = Repository(tmp_path / "apt")
    with pytest.raises(BadSourceError, match="numpy as"):
        lay_out(dist, built.version, repository)
    assert repository.published() == {}
    assert not (dist / "apt").exists()


# The bill of materials


@pytest.fixture(scope="module")
def bill(deb: Path) -> dict[str, Any]:
    import cyclonedx

    return sbom(deb, REPO / REQUIREMENTS, Path(cyclonedx.__file__).parents[1])


def test_the_bill_is_cyclonedx(bill: dict[str, Any]):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    assert validator.validate_str(json.dumps({**bill, "components": [{"name": "x"}]}))
    # The library's own view: references that lead somewhere, package URLs that can be read.
    bom = Bom.from_json(bill)  # type: ignore[attr-defined]
    assert bom.validate()
    assert len(bom.components) == len(bill["components"])


def test_the_bill_is_of_this_package_and_commit(bill: dict[str, Any], deb: Path, tmp_path: Path):
    output("dpkg-deb", "--extract", str(deb), str(tmp_path))
    manifest = Manifest.read(tmp_path / "usr/share/corpus-airflow/payload")
    package = bill["metadata"]["component"]
    read = Deb.read(deb)
    assert (package["name"], package["version"]) == ("corpus-airflow", read.version)
    assert package["hashes"] == [{"alg": "SHA-256", "content": read.sha256}]
    (commit,) = package["pedigree"]["commits"]
    assert commit["uid"] == manifest.revision
    assert sbom(deb, REPO / REQUIREMENTS)["serialNumber"] != bill["serialNumber"]


def test_the_bill_names_all_that_the_locks_name_with_all_their_hashes(bill: dict[str, Any]):
    components = {one["purl"]: one for one in bill["components"] if one["type"] == "library"}
    edges = {edge["ref"]: set(edge["dependsOn"]) for edge in bill["dependencies"]}
    images = {
        one["name"]: one["bom-ref"] for one in bill["components"] if one["type"] == "container"
    }
    assert images.keys() == {f"corpus-{name}" for name in IMAGES}
    assert edges[bill["metadata"]["component"]["bom-ref"]] == set(images.values())
    named = set()
    for image, locks in IMAGES.items():
        # Read once more, in another way than the bill's own.
        text = "".join((REPO / f"requirements/{lock}.lock").read_text() for lock in locks)
        pins = set(re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==(\S+)", text, re.MULTILINE))
        purls = {f"pkg:pypi/{name}@{version}" for name, version in pins}
        assert edges[images[f"corpus-{image}"]] == purls
        hashes = {found["content"] for purl in purls for found in components[purl]["hashes"]}
        assert set(re.findall(r"sha256:([0-9a-f]{64})", text)) <= hashes
        named |= purls
    assert components.keys() == named
    assert len(named) > 150
    # Who asks for what is told by the locks' comments.
    celery = next(purl for purl in named if purl.startswith("pkg:pypi/celery@"))
    assert any(purl.startswith("pkg:pypi/kombu@") for purl in edges[celery])


def test_the_bill_has_licences_of_most(bill: dict[str, Any]):
    libraries = [one for one in bill["components"] if one["type"] == "library"]
    known = [one for one in libraries if "licenses" in one]
    assert len(known) > 0.8 * len(libraries)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: re.sub(r" \\\n +--hash=\S+", "", text), "without a hash"),
        (lambda text: "# nothing\n", "names nothing"),
    ],
)
def test_a_lock_without_hashes_is_refused(tmp_path: Path, change: Callable[[str], str], said: str):
    lock = tmp_path / "services.lock"
    lock.write_text(change((REPO / REQUIREMENTS / "build.lock").read_text()))
    with pytest.raises(BadSourceError, match=said):
        read_lock(lock)


def test_locks_that_do_not_agree_are_refused(deb: Path, tmp_path: Path):
    for name in ("build", "airflow", "services", "extractor"):
        shutil.copy(REPO / REQUIREMENTS / f"{name}.lock", tmp_path)
    file = tmp_path / "extractor.lock"
    file.write_text(re.sub(r"^numpy==\S+", "numpy==1.0", file.read_text(), flags=re.MULTILINE))
    with pytest.raises(BadSourceError, match="numpy as"):
        sbom(deb, tmp_path)


def test_a_package_of_another_kind_has_no_bill(tmp_path: Path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: corpus-airflow\nVersion: 1.0.0\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: nothing\n"
    )
    tree.chmod(0o755)
    output("dpkg-deb", "--build", str(tree), str(tmp_path / "empty.deb"))
    with pytest.raises(BadPackageError, match=r"holds no .*release\.json"):
        sbom(tmp_path / "empty.deb", REPO / REQUIREMENTS)
