"""Old images on a real engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import uuid

import pytest
from docker import APIClient
from docker.errors import NotFound

from operators.reaper import images
from operators.reaper.report import Report
from operators.settings import WorkerSettings
from tests.system.cluster.reaper.world import World


def load_image(client: APIClient, name: str, title: str, created: str, content: str) -> str:
    """An image with a date of its own, by the engine's own format; its id."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        file = tarfile.TarInfo("content")
        file.size = len(content)
        archive.addfile(file, io.BytesIO(content.encode()))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Labels": {images.TITLE: title}, "Cmd": ["true"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
            },
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "config.json": config,
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    list(client.load_image(whole.getvalue()))
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def test_old_images_of_ours_that_nothing_uses(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A name that no one else has on this engine.
    ours = f"corpus-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(images, "NAMES", frozenset({ours}))
    client = world.client
    made: dict[str, str] = {}

    def load(key: str, name: str, title: str = ours, year: int = 2020) -> None:
        made[key] = load_image(client, name, title, f"{year}-01-01T00:00:00Z", key)

    try:
        load("oldest", f"{ours}:1", year=2019)
        load("older", f"{ours}:2", year=2020)
        load("used", f"{ours}:3", year=2018)
        load("configured", f"registry.example:5000/team/{ours}:4", year=2017)
        load("second", f"{ours}:5", year=2021)
        load("newest", f"{ours}:6", year=2022)
        load("built-on-ours", f"team-{ours}:1", year=2016)
        load("of-another-name", f"{ours}-x:1", title=f"{ours}-x", year=2016)
        load("tagged-lately", f"{ours}:7", year=2015)
        client.tag(made["tagged-lately"], ours, "8")
        container = client.create_container(made["used"], ["true"])["Id"]
        world.made.append(container)
        settings = WorkerSettings.load(
            {
                "docker": {
                    "scratch": str(world.root),
                    "extractor_image": f"registry.example:5000/team/{ours}:4",
                },
                "reaper": {"images_kept": 3, "images_days": 30},
            }
        )
        engine = world.reaper()._sweep.engine

        def remaining() -> set[str]:
            there = {image["Id"] for image in client.images()}
            return {key for key, image in made.items() if image in there}

        dry = images.OldImages(settings, engine, Report(dry_run=True), True)
        assert dry.remove() == 2
        assert remaining() == set(made)

        removed = images.OldImages(settings, engine, Report(), False).remove()

        assert remaining() == set(made) - {"oldest", "older"}
        assert removed == 2
        assert f"removed image {ours}:1: nothing has used it" in capsys.readouterr().out
    finally:
        world.tidy()
        for image in made.values():
            try:
                client.remove_image(image, force=True)
            except NotFound:
                continue
