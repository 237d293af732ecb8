"""Pinned wheels, fetched by the real pip out of a folder instead of a registry."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from deploy.local import demo
from deploy.local.wheels import Wheel, download

REPO = Path(__file__).resolve().parents[3]


def build(folder: Path, project: str, tag: str) -> Wheel:
    """The smallest wheel that pip takes for one."""
    name = f"{project}-1.0-{tag}.whl"
    info = f"{project}-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    data = (folder / name).read_bytes()
    return Wheel(name, hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    return tmp_path / "registry"


def test_wheels_of_any_platform_arrive_and_nothing_else_is_left(registry: Path, tmp_path: Path):
    wheels = [
        build(registry, "alpha", "py3-none-any"),
        build(registry, "beta", "cp311-cp311-win_arm64"),
        build(registry, "gamma", "cp38-abi3-win32"),
    ]
    folder = tmp_path / "cache"
    assert list(download(wheels, folder)) == [(wheel, True) for wheel in wheels]
    assert sorted(path.name for path in folder.iterdir()) == sorted(w.name for w in wheels)


def test_what_is_there_already_is_not_asked_for_again(registry: Path, tmp_path: Path):
    here, gone = build(registry, "alpha", "py3-none-any"), build(registry, "beta", "py3-none-any")
    folder = tmp_path / "cache"
    assert all(arrived for _, arrived in download([here], folder))
    for path in registry.iterdir():
        path.unlink()
    assert list(download([here, gone], folder)) == [(here, True), (gone, False)]


def test_other_content_than_the_pinned_does_not_arrive(registry: Path, tmp_path: Path):
    wheel = build(registry, "alpha", "py3-none-any")
    for wrong in (
        dataclasses.replace(wheel, sha256="0" * 64),
        dataclasses.replace(wheel, size=wheel.size + 1),
    ):
        assert list(download([wrong], tmp_path / "cache")) == [(wrong, False)]
        assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_wheel_is_fetched_anew(registry: Path, tmp_path: Path):
    wheel = build(registry, "alpha", "py3-none-any")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / wheel.name).write_bytes(bytes(wheel.size))
    assert list(download([wheel], folder)) == [(wheel, True)]
    assert wheel.is_in(folder)


@pytest.mark.parametrize("file", [demo.WHEELS, REPO / "bench" / "wheels.csv"], ids=lambda p: p.name)
def test_every_pinned_wheel_is_for_windows_or_any_platform_and_once(file: Path):
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    wheels = [Wheel(row["wheel"], row["sha256"], int(row["size"])) for row in rows]
    assert {wheel.platform for wheel in wheels} <= {"any", "win32", "win_amd64", "win_arm64"}
    assert len({wheel.name for wheel in wheels}) == len({w.sha256 for w in wheels}) == len(wheels)
    assert all(len(bytes.fromhex(wheel.sha256)) == 32 and wheel.size > 0 for wheel in wheels)
