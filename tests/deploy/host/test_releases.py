"""Releases on a host: whole or not there, checked before they count, and one step to another."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.common.errors import BadInputError, DamagedError
from deploy.host.manifest import PACKAGES, Manifest
from deploy.host.releases import Releases

Payload = Callable[..., Path]


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    """A payload as the package lays it down; its files say its version."""

    def made(version: str, said: str | None = None) -> Path:
        folder = tmp_path / f"payload-{version}-{said}"
        for package in PACKAGES:
            (folder / package).mkdir(parents=True)
            (folder / package / "__init__.py").write_text(f"VERSION = {said or version!r}\n")
        Manifest.of(folder, version, "abc").write(folder)
        return folder

    return made


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


def visible(releases: Releases) -> set[str]:
    return {path.name for path in releases.folder.iterdir() if not path.name.startswith(".")}


def test_installing_is_not_switching(releases: Releases, payload: Payload):
    assert releases.install(payload("1.0.0")) == "1.0.0"
    assert (releases.current, releases.names()) == (None, ["1.0.0"])
    releases.switch("1.0.0")
    assert os.readlink(releases.folder / "current") == "1.0.0"


def test_the_way_back_is_the_release_before(releases: Releases, payload: Payload):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        releases.switch(releases.install(payload(version)))
    assert releases.previous == "1.1.0"
    releases.switch("1.1.0")
    assert releases.previous == "1.2.0"
    releases.remove("1.2.0")
    assert releases.previous == "1.0.0"
    assert [name for _, name in releases.history()] == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]


def test_a_line_of_the_history_that_is_none_is_passed_over(releases: Releases, payload: Payload):
    for version in ("1.0.0", "1.1.0"):
        releases.switch(releases.install(payload(version)))
    with (releases.folder / ".history").open("ab") as history:
        history.write(b"\xff\xfe noise\nyesterday 1.0.0\nyesterday")
    assert [name for _, name in releases.history()] == ["1.0.0", "1.1.0"]
    assert releases.previous == "1.0.0"


def test_a_flip_that_was_cut_short_before_it_was_noted_is_noted_by_the_next(
    releases: Releases, payload: Payload
):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        releases.install(payload(version))
    releases.switch("1.0.0")
    (releases.folder / "current").unlink()
    (releases.folder / "current").symlink_to("1.1.0")
    releases.switch("1.2.0")
    assert releases.previous == "1.1.0"
    assert [name for _, name in releases.history()] == ["1.0.0", "1.1.0", "1.2.0"]


def test_the_umask_of_who_installs_does_not_show(releases: Releases, payload: Payload):
    before = os.umask(0o077)
    try:
        releases.install(payload("1.0.0"))
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (releases / "1.0.0").rglob("*.py")}
    assert modes == {0o644}
    for folder in (releases.folder, releases / "1.0.0"):
        assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("harm", ["changed", "missing", "not part of it"])
def test_a_damaged_payload_is_refused_and_named(releases: Releases, payload: Payload, harm: str):
    releases.switch(releases.install(payload("1.0.0")))
    broken = payload("1.1.0")
    file = broken / "dags" / "__init__.py"
    if harm == "changed":
        file.write_text("VERSION = 'another'\n")
    elif harm == "missing":
        file.unlink()
    else:
        (broken / "dags" / "more.py").write_text("")
    with pytest.raises(DamagedError, match=f"dags/.*{harm}"):
        releases.install(broken)
    assert visible(releases) == {"1.0.0", "current"}
    assert releases.current == "1.0.0"


def test_a_link_is_no_file_of_a_release(releases: Releases, payload: Payload):
    broken = payload("1.0.0")
    (broken / "dags" / "__init__.py").unlink()
    (broken / "dags" / "__init__.py").symlink_to("/etc/hostname")
    with pytest.raises(DamagedError, match="is a link"):
        releases.install(broken)


def test_what_does_not_pass_its_validation_gets_no_name(releases: Releases, payload: Payload):
    def refuse(folder: Path) -> str:
        assert (folder / "dags" / "__init__.py").is_file()
        raise DamagedError("dags/__init__.py does not load")

    with pytest.raises(DamagedError, match="does not load"):
        releases.install(payload("1.0.0"), refuse)
    assert visible(releases) == set()


def test_how_a_release_was_tried_is_known_while_it_is_here(releases: Releases, payload: Payload):
    source = payload("1.0.0")
    releases.install(source, lambda _: "10 DAGs load in an image")
    # Not tried again, since it is whole.
    releases.install(source, lambda _: "5 files compile")
    assert releases.tried("1.0.0") == "10 DAGs load in an image"
    (releases / "1.0.0" / "dags" / "__init__.py").unlink()
    releases.install(source, lambda _: "5 files compile")
    assert releases.tried("1.0.0") == "5 files compile"
    releases.remove("1.0.0")
    assert releases.tried("1.0.0") == ""


def test_another_build_of_a_version_is_refused(releases: Releases, payload: Payload):
    releases.install(payload("1.0.0"), flip=True)
    another = payload("1.0.0", "again")
    with pytest.raises(BadInputError, match=r"is another build of 1\.0\.0"):
        releases.install(another, flip=True)
    assert visible(releases) == {"1.0.0", "current"}
    file = releases / "1.0.0" / "dags" / "__init__.py"
    assert file.read_text() == "VERSION = '1.0.0'\n"
    # What the message says to do.
    shutil.rmtree(releases / "1.0.0")
    assert releases.install(another, flip=True) == "1.0.0"
    assert file.read_text() == "VERSION = 'again'\n"
    assert releases.current == "1.0.0"


def test_a_release_is_current_before_another_may_remove_it(releases: Releases, payload: Payload):
    """As where a package that was installed long ago comes again while `prune` is at work."""
    old, new = payload("1.0.0"), payload("1.1.0")
    releases.install(old)
    over = threading.Event()

    def prune() -> None:
        while not over.is_set():
            with suppress(BadInputError):
                releases.remove("1.0.0")

    pruners = [threading.Thread(target=prune) for _ in range(4)]
    for pruner in pruners:
        pruner.start()
    try:
        for _ in range(40):
            releases.install(old, flip=True)
            releases.install(new, flip=True)
    finally:
        over.set()
        for pruner in pruners:
            pruner.join()
    assert [name for _, name in releases.history()] == ["1.0.0", "1.1.0"] * 40


def test_a_damaged_release_is_mended_by_installing_it_again(releases: Releases, payload: Payload):
    source = payload("1.0.0")
    releases.switch(releases.install(source))
    file = releases / "1.0.0" / "dags" / "__init__.py"
    file.write_text("broken")
    with pytest.raises(DamagedError, match="changed"):
        releases.switch("1.0.0")
    assert releases.install(source) == "1.0.0"
    assert file.read_text() == "VERSION = '1.0.0'\n"
    (releases / "1.0.0" / "release.json").write_text("{")
    assert releases.install(source) == "1.0.0"
    assert visible(releases) == {"1.0.0", "current"}


def test_what_a_killed_installation_left_goes_with_the_next(releases: Releases, payload: Payload):
    left = releases.folder / ".new-x"
    left.mkdir(parents=True)
    releases.install(payload("1.0.0"))
    assert not left.exists()


def test_the_current_release_is_not_removed(releases: Releases, payload: Payload):
    releases.switch(releases.install(payload("1.0.0")))
    with pytest.raises(BadInputError, match="is the current release"):
        releases.remove("1.0.0")
    with pytest.raises(BadInputError, match=r"no release '9\.9\.9' here; there are: 1\.0\.0"):
        releases.switch("9.9.9")


@pytest.mark.parametrize("version", ["", "current", "../1.0.0", "v1", "1.0 0", ".new"])
def test_a_version_is_also_a_safe_name(tmp_path: Path, version: str):
    with pytest.raises(BadInputError, match="not a release version"):
        Manifest.of(tmp_path, version, "abc")


def test_a_reader_never_sees_part_of_each(releases: Releases, payload: Payload):
    for version in ("1.0.0", "1.1.0"):
        releases.install(payload(version))
    releases.switch("1.0.0")
    seen: list[set[str]] = []
    faults: list[OSError] = []
    over = threading.Event()

    def read() -> None:
        try:
            while not over.is_set():
                release = releases.folder / os.readlink(releases.folder / "current")
                seen.append({(release / one / "__init__.py").read_text() for one in PACKAGES})
        except OSError as error:
            faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        releases.switch(("1.1.0", "1.0.0")[turn % 2])
        if turn % 20 == 0:
            another = releases.install(payload(f"1.2.{turn}"))
            releases.remove(another)
    over.set()
    reader.join()
    assert faults == []
    assert {len(one) for one in seen} == {1}
    assert len({min(one) for one in seen}) == 2
