"""What the package lays down, and what it says of itself."""

from __future__ import annotations

import re
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from corpus.contract.version import describe
from deploy.build.git import git
from deploy.build.package.build import Built
from deploy.host.manifest import PACKAGES, Manifest
from tests.system.package.packages import WORKTREE, checkout


def field(deb: Path, name: str) -> str:
    done = subprocess.run(
        ["dpkg-deb", "--field", deb, name], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def members(deb: Path) -> dict[str, tarfile.TarInfo]:
    """All files and folders of the package, by absolute path."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        return {member.name.removeprefix("."): member for member in archive}


@pytest.fixture(scope="module")
def laid_out(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("laid-out")
    subprocess.run(["dpkg-deb", "--extract", deb, folder], check=True)
    return folder


def test_the_version_is_gits(deb: Path):
    version = describe(checkout(), worktree=WORKTREE).debian
    assert field(deb, "Version") == version
    assert deb.name == f"corpus-airflow_{version}_all.deb"


def test_it_needs_python_and_nothing_else(deb: Path):
    assert field(deb, "Depends") == "python3 (>= 3.11)"
    assert field(deb, "Architecture") == "all"


def test_a_build_makes_source_and_binary_and_says_of_what(built: Built):
    ends = sorted(file.name.removeprefix(f"corpus-airflow_{built.version}") for file in built.files)
    assert [end for end in ends if not end.startswith("_amd64") and "changes" not in end and "buildinfo" not in end] == [
        ".dsc", ".tar.xz", "_all.deb",
    ]  # fmt: skip
    assert sum(end.endswith(".buildinfo") for end in ends) == 1
    assert built.changes.is_file()


def test_files_belong_to_root_and_nobody_else_may_write(members: dict[str, tarfile.TarInfo]):
    assert len(members) > 200
    for name, member in members.items():
        assert (member.uid, member.gid) == (0, 0), name
        expected = 0o755 if member.isdir() or name == "/usr/bin/corpus-airflow" else 0o644
        assert stat.S_IMODE(member.mode) == expected, name
        assert member.isfile() or member.isdir(), name


def test_nothing_is_laid_down_where_state_is(members: dict[str, tarfile.TarInfo]):
    """dpkg would remove such folders, and the link to the current release, when the package goes."""
    assert not [name for name in members if name.startswith("/var")]
    allowed = ("/etc", "/usr", "/lib")
    assert not [name for name in members if name and not name.startswith(allowed)]


def test_the_payload_is_the_bundle_and_its_manifest_is_true(laid_out: Path, deb: Path):
    payload = laid_out / "usr/share/corpus-airflow/payload"
    assert sorted(path.name for path in payload.iterdir()) == [*PACKAGES, "release.json"]
    manifest = Manifest.read(payload)
    manifest.check(payload)
    assert manifest.version == field(deb, "Version")
    assert manifest.revision.removesuffix("-dirty") == git(checkout(), "rev-parse", "HEAD")
    listing = ["ls-files"] if WORKTREE else ["ls-tree", "-r", "--name-only", "HEAD"]
    assert set(manifest.files) == set(git(checkout(), *listing, *PACKAGES).splitlines())


def test_the_code_says_the_version_of_the_package(laid_out: Path):
    payload = laid_out / "usr/share/corpus-airflow/payload"
    done = subprocess.run(
        ["/usr/bin/python3", "-B", "-c", "from corpus.contract.version import current; print(current().version)"],
        cwd=payload, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == describe(checkout(), worktree=WORKTREE).pep440


def test_the_command_runs_alone(laid_out: Path):
    """It has just the standard library and its own files, on the system's Python."""
    command = laid_out / "usr/share/corpus-airflow/command"
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from deploy.host.command import main; sys.exit(main())"
    done = subprocess.run(
        ["/usr/bin/python3", "-ISB", "-c", script, str(command), "--help"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "install" in done.stdout
    assert not list(laid_out.rglob("__pycache__"))
    first = (laid_out / "usr/bin/corpus-airflow").read_text().splitlines()[0]
    assert first == "#!/usr/bin/python3 -IB"


def test_settings_are_conffiles(deb: Path, laid_out: Path):
    done = subprocess.run(
        ["dpkg-deb", "--info", deb, "conffiles"], check=True, capture_output=True, text=True
    )
    assert sorted(done.stdout.split()) == [
        "/etc/corpus-airflow/corpus.toml", "/etc/corpus-airflow/host.toml",
    ]  # fmt: skip
    assert (laid_out / "etc/corpus-airflow/conf.d").is_dir()


def test_examples_are_the_files_of_the_cluster(laid_out: Path):
    examples = laid_out / "usr/share/doc/corpus-airflow/examples"
    for name, origin in {
        "compose.yaml": "compose.yaml",
        "compose.laptop.yaml": "compose.laptop.yaml",
        "cluster.env": "cluster.env.example",
        "docker.socket.conf": "docker.socket.conf",
    }.items():
        if WORKTREE:
            text = (checkout() / "docker" / origin).read_text()
        else:
            text = git(checkout(), "show", f"HEAD:docker/{origin}") + "\n"
        assert (examples / name).read_text() == text


def test_pages_lead_to_pages_and_examples_of_the_package(laid_out: Path):
    folder = laid_out / "usr/share/doc/corpus-airflow"
    pages = sorted(folder.rglob("*.md"))
    assert {"cluster.md", "host.md", "release.md"} <= {page.name for page in pages}
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
