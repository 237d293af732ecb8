"""The source tree of a package, and the changelog that git's history becomes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from corpus.contract.version import Version
from deploy.build.package.build import build
from deploy.build.package.changelog import changelog
from deploy.build.package.source import Source, export
from deploy.common.errors import BadSourceError, ToolsMissingError
from tests.support.checkouts import Checkout

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_dpkg_dev = pytest.mark.skipif(
    shutil.which("dpkg-parsechangelog") is None, reason="dpkg-dev is not installed"
)

CONTROL = "Source: corpus-airflow\nMaintainer: Some One <some.one@example.org>\n"


@pytest.fixture
def packaged(checkout: Checkout) -> Checkout:
    """A checkout with debian/control and a script."""
    (checkout.folder / "debian").mkdir()
    (checkout.folder / "debian" / "control").write_text(CONTROL)
    script = checkout.folder / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (checkout.folder / "link").symlink_to("script")
    checkout.git("add", ".")
    checkout.commit("A package")
    return checkout


def entries(text: str, folder: Path) -> list[Message]:
    """The changelog as dpkg reads it; it complains of what it does not understand."""
    file = folder / "changelog"
    file.write_text(text)
    done = subprocess.run(
        ["dpkg-parsechangelog", "--all", "--format", "rfc822", "--file", file],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [message_from_string(text) for text in done.stdout.strip().split("\n\n")]


@needs_dpkg_dev
def test_tags_are_releases_and_commits_their_changes(packaged: Checkout, tmp_path: Path):
    packaged.git("tag", "v0.1.0rc1")
    packaged.git("tag", "v0.1.0")
    packaged.commit(
        "A word with a number (#12), and " + "many more words that are to be wrapped " * 4
    )
    packaged.commit("Second")
    packaged.git("tag", "-m", "A release", "v0.2.0")
    packaged.commit("On the way")
    version = Version.parse(f"0.2.0+1.{packaged.digits}")
    found = entries(changelog(packaged.folder, version, CONTROL), tmp_path)
    assert [entry["Version"] for entry in found] == [version.debian, "0.2.0", "0.1.0"]
    assert {entry["Maintainer"] for entry in found} == {"Some One <some.one@example.org>"}
    assert {entry["Distribution"] for entry in found} == {"unstable"}
    changes = [entry["Changes"] for entry in found]
    assert "* On the way" in changes[0]
    assert "Second" not in changes[0]
    assert "* Second" in changes[1]
    assert "* A word with a number (#12)" in changes[1]
    assert all(len(line) < 80 for line in changes[1].splitlines())
    assert "* A package" in changes[2]
    assert "* First" in changes[2]


@needs_dpkg_dev
def test_a_commit_that_is_tagged_has_one_entry(packaged: Checkout, tmp_path: Path):
    packaged.git("tag", "v1.0.0")
    found = entries(changelog(packaged.folder, Version.parse("1.0.0"), CONTROL), tmp_path)
    assert [entry["Version"] for entry in found] == ["1.0.0"]


def test_dates_are_those_of_the_commits(packaged: Checkout):
    date = packaged.git("log", "-1", "--format=%cD")
    text = changelog(packaged.folder, Version.parse("1.0.0"), CONTROL)
    # Said in UTC, wherever the commit was made.
    assert date[5:16].strip() in text
    assert text.rstrip().endswith("+0000")


def test_a_source_is_the_commit_whatever_the_umask_and_the_tree(packaged: Checkout, tmp_path: Path):
    (packaged.folder / "script").write_text("changed\n")
    (packaged.folder / "untracked").write_text("x")
    former = os.umask(0o077)
    try:
        source = export(packaged.folder, tmp_path / "out")
    finally:
        os.umask(former)
    assert source.folder == tmp_path / "out" / f"corpus-airflow-0.1.0~~dev2+{packaged.digits}"
    assert (source.folder / "script").read_text() == "#!/bin/sh\n"
    assert not (source.folder / "untracked").exists()
    assert (source.folder / "link").readlink() == Path("script")
    commit = packaged.git("rev-parse", "HEAD")
    assert source.revision == commit
    assert (source.folder / "debian" / "revision").read_text() == f"{commit}\n"
    assert source.epoch == int(packaged.git("log", "-1", "--format=%ct"))
    for path in (source.folder, *source.folder.rglob("*")):
        info = path.lstat()
        assert info.st_mtime == source.epoch
        if not path.is_symlink():
            executable = path.is_dir() or path.name == "script"
            assert stat.S_IMODE(info.st_mode) == (0o755 if executable else 0o644)


def test_the_tree_as_it_is_can_be_had_too(packaged: Checkout, tmp_path: Path):
    (packaged.folder / "script").write_text("changed\n")
    (packaged.folder / "link").unlink()
    (packaged.folder / "untracked").write_text("x")
    source = export(packaged.folder, tmp_path / "out", worktree=True)
    assert (source.folder / "script").read_text() == "changed\n"
    assert sorted(path.name for path in source.folder.iterdir()) == ["corpus", "debian", "script"]
    assert source.version.after.endswith(".dirty")
    assert source.revision.endswith("-dirty")


def test_what_was_exported_before_is_replaced(packaged: Checkout, tmp_path: Path):
    version = Version.parse("1.0.0")
    first = export(packaged.folder, tmp_path, version=version)
    (first.folder / "left").touch()
    second = export(packaged.folder, tmp_path, version=version)
    assert second == first
    assert not (second.folder / "left").exists()


def test_a_commit_without_packaging_is_told(checkout: Checkout, tmp_path: Path):
    with pytest.raises(BadSourceError, match=r"holds no debian/control: commit it, or --worktree"):
        export(checkout.folder, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@needs_dpkg_dev
def test_packages_that_a_build_lacks_are_named(packaged: Checkout, tmp_path: Path):
    control = packaged.folder / "debian" / "control"
    control.write_text(
        f"{CONTROL}Build-Depends: dpkg, no-such-package (>= 2) | nor-this, nor-that <!nocheck>\n\n"
        "Package: corpus-airflow\nArchitecture: all\nDescription: text\n"
    )
    source: Source = export(packaged.folder, tmp_path / "out", worktree=True)
    with pytest.raises(
        ToolsMissingError, match=r"apt-get install .*recommends no-such-package nor-that$"
    ):
        build(source, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_clone_without_its_history_is_refused_even_at_a_tag(packaged: Checkout, tmp_path: Path):
    """Its version is known, and the changelog is not."""
    packaged.git("tag", "v1.0.0")
    clone = tmp_path / "clone"
    packaged.git("clone", "-q", "--depth=1", f"file://{packaged.folder}", str(clone))
    with pytest.raises(BadSourceError, match="git fetch --unshallow --tags"):
        export(clone, tmp_path / "out")
