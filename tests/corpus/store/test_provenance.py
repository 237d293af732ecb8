"""The images that services ran in: told by the run, kept with the update, written to the manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.card.html import page
from corpus.contract.registry import SERVICES
from corpus.errors import BadSettingError
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.snapshots.verify import verify
from corpus.store import provenance
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.building import context, stage

SERVICES_IMAGE = {"name": "corpus-services:1.0", "digest": "sha256:" + "a" * 64}
NEWER_IMAGE = {"name": "corpus-services:1.0", "digest": "sha256:" + "b" * 64}
EXTRACTOR_IMAGE = {"name": "corpus-extractor:1.0", "digest": "sha256:" + "c" * 64}


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return context(tmp_path)


def run(made: Context, service: str, **run: Any) -> None:
    told = replace(made, run={**made.run, **run})
    run_service(SERVICES[service].request(update="u"), told)


def published(made: Context, **run_of_publish: Any) -> dict[str, Any]:
    run(made, "validate", **run_of_publish)
    run(made, "publish", **run_of_publish)
    return Snapshot.open(made.store).manifest


def test_they_are_in_the_manifest_by_service(made: Context) -> None:
    stage(Update.open(made.store, "u"), range(4))
    # A task, another one, and one that was tried again after an upgrade.
    run(made, "label", image=SERVICES_IMAGE)
    run(made, "label", image=SERVICES_IMAGE)
    run(made, "label", image=NEWER_IMAGE, sandbox_image=EXTRACTOR_IMAGE)
    assert len(Update.open(made.store, "u").reports(provenance.REPORT)) == 3
    digest = Update.open(made.store, "u").staged_digest()
    manifest = published(made, image=NEWER_IMAGE)
    assert manifest["images"] == {
        "label": [EXTRACTOR_IMAGE, SERVICES_IMAGE, NEWER_IMAGE],
        "publish": [NEWER_IMAGE],
        "validate": [NEWER_IMAGE],
    }
    assert Update.open(made.store, "u").staged_digest() == digest
    assert verify(made.store).findings == []
    html = (Path(made.store.path) / "snapshots/u/card/index.html").read_text()
    assert f"corpus-extractor:1.0 <code>{EXTRACTOR_IMAGE['digest']}</code>" in html


def test_they_do_not_count_as_content_or_as_who_asked(tmp_path: Path) -> None:
    manifests = []
    for name, more in (("one", {}), ("two", {"image": SERVICES_IMAGE})):
        made = context(tmp_path / name)
        run(made, "label", **more)
        stage(Update.open(made.store, "u"), range(4))
        manifests.append(published(made, **more))
    embedded, contained = manifests
    assert embedded["images"] == {}
    assert embedded["content_digest"] == contained["content_digest"]
    assert embedded["run"] == contained["run"] == made.run


def test_a_card_of_a_manifest_that_knows_of_none(made: Context) -> None:
    stage(Update.open(made.store, "u"), range(4))
    manifest = {name: value for name, value in published(made).items() if name != "images"}
    stats = made.store.read_json("snapshots/u/stats.json")
    assert "Images of" not in page(manifest, stats)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ("corpus-services", "CORPUS_RUN.image"),
        ({"name": "corpus-services", "digest": "latest"}, "CORPUS_RUN.image.digest"),
        ({"name": "", "digest": SERVICES_IMAGE["digest"]}, "CORPUS_RUN.image.name"),
        ({**SERVICES_IMAGE, "tag": "1.0"}, "CORPUS_RUN.image.tag"),
    ],
)
def test_nonsense_is_refused(made: Context, told: Any, field: str) -> None:
    with pytest.raises(BadSettingError) as caught:
        run(made, "label", image=told)
    assert caught.value.field == field
