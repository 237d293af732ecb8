"""The data card: valid Croissant, and a page that shows everything and runs nothing."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest

from corpus.card import write_card
from corpus.card.words import COLUMNS, describe_splits
from corpus.contract.progress import Progress
from corpus.contract.requests import ValidateRequest
from corpus.services.context import Context
from corpus.services.validate.service import validate
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.schemas import TABLES
from corpus.store.snapshots import Snapshot
from tests.support import rows

HOSTILE = "<script>alert('$x_1$')</script>\"&"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.features.get", lambda name: rows.TINY)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, their attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def snapshots(tmp_path: Path, count: int = 1) -> tuple[Store, dict[str, Any], dict[str, Any]]:
    """A corpus of some updates, each judged, with hostile names; the last manifest and its stats."""
    store = Store(tmp_path)
    settings = Settings(features={"sets": ["tiny-v1"]})
    for number in range(count):
        update = rows.begin(store, f"u{number}")
        numbers = range(number * 20, number * 20 + 12)
        rows.stage_new(update, numbers)
        rows.stage(update, "labels", [rows.label(n, "malicious", HOSTILE) for n in numbers])
        rows.stage(update, "samples", [rows.sample(n, file_type=HOSTILE) for n in numbers])
        rejects = [
            {"location": "l", "reason": HOSTILE, "files": 3},
            {"location": "l", "reason": "unsupported", "file_type": HOSTILE},
        ]
        rows.stage(update, "rejects", rejects)
        rows.stage(update, "failures", [{**rows.failure(numbers[0]), "reason": "crash"}])
        rows.stage(update, "features-tiny-v1", rows.vectors(numbers[1:]))
        context = Context(settings, store, Progress(write=lambda line: None))
        validate(ValidateRequest(update=update.id), context)
        manifest = rows.release(update)
    manifest |= {
        "note": HOSTILE, "run": {"run_id": HOSTILE}, "content_digest": "c" * 64,
        "label_policy": {"precedence": ["analyst"]},
        "splits": {"method": "mixed", "validation_from": "2024-02-01", "test_from": "2024-03-01",
                   "ratio": [0.7, 0.1, 0.2], "undated": 3},
    }  # fmt: skip
    return store, manifest, Snapshot.open(store).stats


def written(store: Store, manifest: dict[str, Any], stats: dict[str, Any]) -> tuple[Path, Path]:
    files = write_card(store, manifest, stats)
    for file in files:
        assert store.measure(file.key).sha256 == file.sha256
    croissant, page = (Path(store.full(file.key)) for file in files)
    return croissant, page


@pytest.mark.parametrize("count", [1, 2])
def test_mlcroissant_finds_nothing_wrong(tmp_path: Path, count: int) -> None:
    store, manifest, stats = snapshots(tmp_path, count)
    croissant, _ = written(store, manifest, stats)
    metadata = mlcroissant.Dataset(jsonld=str(croissant)).metadata
    assert metadata.ctx.issues.report() == ""
    assert metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    assert metadata.version == f"{count}.0.0"
    objects = {o.id: o for o in metadata.distribution if hasattr(o, "sha256")}
    for entry in manifest["tables"].values():
        for file in entry["files"]:
            listed = objects[file["key"]]
            assert listed.sha256 == file["sha256"]
            assert (croissant.parent / listed.content_url).resolve() == Path(
                store.full(file["key"])
            )
    assert metadata.data_limitations


def test_mlcroissant_reads_the_rows(tmp_path: Path) -> None:
    store, manifest, stats = snapshots(tmp_path)
    croissant, _ = written(store, manifest, stats)
    dataset = mlcroissant.Dataset(jsonld=str(croissant))
    vectors = list(dataset.records("features-tiny-v1-rows"))
    expected = {r["sha256"]: r["vector"] for r in rows.vectors(range(1, 12))}
    assert {r["features-tiny-v1-rows/sha256"].decode() for r in vectors} == set(expected)
    for record in vectors:
        wanted = expected[record["features-tiny-v1-rows/sha256"].decode()]
        assert np.array_equal(record["features-tiny-v1-rows/vector"], wanted)
    splits = list(dataset.records("splits-rows"))
    assert {r["splits-rows/split"] for r in splits} == {b"train"}


def test_every_column_is_described() -> None:
    for table in ("samples", "labels", "groups", "splits", "verdicts", "failures"):
        for name in TABLES[table].schema.names:
            assert f"{table}.{name}" in COLUMNS or name in COLUMNS


def test_hostile_text_comes_out_as_text(tmp_path: Path) -> None:
    store, manifest, stats = snapshots(tmp_path)
    _, path = written(store, manifest, stats)
    page = Page(path.read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    # Note, run, family and the type of a file that is no executable, each as it is.
    assert page.text.count(HOSTILE) == 4
    # In plots long names are cut short; the $ must not have made a formula of it.
    assert "<script>alert('$x_1$')</s…" in page.text


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    store, manifest, stats = snapshots(tmp_path)
    _, path = written(store, manifest, stats)
    text = path.read_text()
    page = Page(text)
    loading = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
    ]
    assert {value for value in loading if value and not value.startswith("#")} == {
        "data:,",
        "croissant.json",
    }
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert "default-src 'none'" in policy


def test_plots_and_tables_show_the_numbers(tmp_path: Path) -> None:
    store, manifest, stats = snapshots(tmp_path, 2)
    _, path = written(store, manifest, stats)
    page = Page(path.read_text())
    assert [a["class"] for t, a in page.tags if t == "figure"] == [
        "growth", "weeks", "file_types", "sizes", "losses",
    ]  # fmt: skip
    assert sum(tag == "svg" for tag, _ in page.tags) == 5
    for said in ("2024-W01", "failed: crash", "512 B", "tiny-v1", "3 samples have no first-seen time",
                 "failure_share/tiny-v1", "1 of 12 extractions failed", "c" * 64):  # fmt: skip
        assert said in page.text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_input_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    store, manifest, stats = snapshots(tmp_path)
    write_card(store, manifest, stats)
    store.write_json("manifest.json", manifest)
    first = [path.read_bytes() for path in sorted(tmp_path.glob("snapshots/u0/card/*"))]
    code = (
        "from corpus.card import write_card; from corpus.store.object_store import Store; "
        f"s = Store({str(tmp_path)!r}); "
        "write_card(s, s.read_json('manifest.json'), s.read_json('snapshots/u0/stats.json'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": "7"})
    assert [p.read_bytes() for p in sorted(tmp_path.glob("snapshots/u0/card/*"))] == first


def test_a_bare_manifest_and_an_empty_corpus_give_a_card(tmp_path: Path) -> None:
    store, _, stats = snapshots(tmp_path)
    bare = {"id": "bare", "sequence": 1}
    empty = copy.deepcopy(stats) | {"weeks": {}, "sizes": {}, "families": {}}
    empty["counts"] = {k: {} if isinstance(v, dict) else 0 for k, v in stats["counts"].items()}
    _, path = written(store, bare, empty)
    assert "How samples were split is not recorded." in Page(path.read_text()).text


@pytest.mark.parametrize("span", [1, 60, 400, 2000])
def test_any_span_of_weeks_is_drawn_whole(span: int) -> None:
    from datetime import date, timedelta

    from corpus.card.plots import _periods

    days = [date(2001, 12, 31), date(2001, 12, 31) + timedelta(weeks=span)]
    weeks = {f"{d.isocalendar()[0]}-W{d.isocalendar()[1]:02}": {} for d in days}
    places, titles, unit = _periods(weeks)
    assert sorted(places.values()) == [0, len(titles) - 1]
    assert titles[0].startswith("2002")
    assert unit == {1: "week", 60: "week", 400: "month", 2000: "year"}[span]
    assert len(titles) <= 130


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"method": "time", "validation_from": "2024-02-01", "test_from": "2024-03-01", "undated": 0},
         "validation from 2024-02-01, test from 2024-03-01."),
        ({"method": "mixed", "ratio": [0.7, 0.1, 0.2], "undated": 4},
         "4 samples have no first-seen time: they were drawn by 70% / 10% / 20%"),
        ({"method": "ratio", "ratio": [0.7, 0.1, 0.2], "undated": 9}, "this is no split by time"),
    ],
)  # fmt: skip
def test_the_fallback_is_said_plainly(splits: dict[str, Any], said: str) -> None:
    assert said in describe_splits({"splits": splits})
