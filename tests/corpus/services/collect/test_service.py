from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.contract.progress import Progress
from corpus.contract.reports import CollectReport
from corpus.contract.requests import CollectRequest
from corpus.errors import BadInputError, NotFoundError
from corpus.services.collect.service import collect
from corpus.services.context import Context
from corpus.settings import Settings
from corpus.store.object_store import Store
from corpus.store.staging import Update
from tests.support import building, rows


def context(tmp_path: Path, **sections: Mapping[str, Any]) -> Context:
    root = {"root": str(tmp_path / "corpus")}
    places = {"roots": [str(tmp_path)]}
    settings = Settings.load({"store": root, "places": places, **sections})
    return Context(settings, Store(tmp_path / "corpus"), Progress(write=lambda line: None))


def run(made: Context, update: str = "u", **request: Any) -> CollectReport:
    return collect(CollectRequest(update=update, **request), made)


def candidates(made: Context, update: str = "u") -> list[dict[str, Any]]:
    return Update.open(made.store, update).read("candidates").to_pylist()


def mark_seen(made: Context, update: str) -> None:
    """Publish what `collect` found as seen, as `ingest` and `publish` would."""
    staged = Update.open(made.store, update)
    seen = staged.read("candidates", ["location", "fingerprint", "source"]).to_pylist()
    staged.write("seen_files", seen)
    rows.release(staged)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "in"
    for number in range(10):
        path = inside / f"{number % 3}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number * 100))
        day = datetime(2024, 1, 1 + number, 12, tzinfo=UTC).timestamp()
        os.utime(path, (day, day))
    return inside


def test_new_files_become_candidates(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    report = run(made)
    found = candidates(made)
    assert report.shards == ["shard-0000"]
    assert (report.candidates, report.bytes, report.already_seen) == (10, 4500, 0)
    assert [row["location"] for row in found] == sorted(str(path) for path in folder.rglob("*.bin"))
    first = found[0]
    stat = os.stat(first["location"])
    assert first["fingerprint"] == f"{stat.st_size}/{stat.st_mtime_ns}"
    assert first["size"] == stat.st_size
    assert (first["source"], first["tags"], first["known_sha256"]) == (str(folder), [], None)
    assert (first["update_id"], first["sequence"]) == ("u", 1)
    assert Update.open(made.store, "u").reports("collect") == [report.model_dump(mode="json")]


def test_an_update_without_an_id_is_begun(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path)
    report = collect(CollectRequest(sources=[str(folder)]), made)
    assert made.store.exists(f"staging/{report.update}/update.json")


def test_an_empty_day_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    report = run(context(tmp_path), sources=[str(tmp_path / "in")])
    assert (report.shards, report.candidates, report.bytes) == ([], 0, 0)


def test_no_source_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no source is named"):
        run(context(tmp_path))


def test_a_source_that_is_not_there(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path)
    with pytest.raises(BadInputError, match="does not exist"):
        run(made, sources=[str(folder), str(tmp_path / "nowhere")])
    assert Update.open(made.store, "u").shards() == []


def test_include_and_exclude(tmp_path: Path, folder: Path) -> None:
    made = context(
        tmp_path,
        sources={"urls": [str(folder)], "include": ["0/**", "1/*"], "exclude": ["3.*"]},
    )
    run(made)
    assert [row["location"][len(str(folder)) :] for row in candidates(made)] == [
        "/0/0.bin", "/0/6.bin", "/0/9.bin", "/1/1.bin", "/1/4.bin", "/1/7.bin",
    ]  # fmt: skip


def test_what_a_snapshot_has_seen_is_skipped_until_it_changes(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    run(made, "one")
    mark_seen(made, "one")
    report = run(made, "two")
    assert (report.shards, report.already_seen) == ([], 10)
    (folder / "new").write_bytes(b"new")
    (folder / "1" / "1.bin").write_bytes(b"changed")
    report = run(made, "three")
    assert (report.candidates, report.already_seen) == (2, 9)
    assert [row["location"] for row in candidates(made, "three")] == [
        f"{folder}/1/1.bin", f"{folder}/new",
    ]  # fmt: skip
    mark_seen(made, "three")
    assert run(made, "four").already_seen == 11
    assert run(made, "five", rescan=True).candidates == 11


def test_what_was_collected_but_not_published_is_still_new(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    run(made, "one")
    assert run(made, "two").candidates == 10


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (date(2024, 1, 4), None, range(4, 11)),
        (None, date(2024, 1, 4), range(1, 5)),
        (date(2024, 1, 3), date(2024, 1, 3), range(3, 4)),
        (date(2024, 1, 11), None, range(0)),
        (date.min, date.max, range(1, 11)),
    ],
)
def test_a_window_of_days(
    tmp_path: Path, folder: Path, since: date | None, until: date | None, days: range
) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    report = run(made, since=since, until=until)
    found = {int(Path(row["location"]).stem) + 1 for row in candidates(made)}
    assert found == set(days)
    assert report.outside_window == 10 - len(days)


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        (date(2024, 2, 1), date(2024, 1, 1), "2024-02-01, is later than the last day, 2024-01-01"),
        (date.max, None, "9999-12-31, is in the future"),
    ],
)
def test_a_window_that_no_file_can_be_in(
    tmp_path: Path, folder: Path, since: date, until: date | None, told: str
) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    with pytest.raises(BadInputError, match=told) as caught:
        run(made, since=since, until=until)
    assert caught.value.field == "since"
    assert not made.store.list("staging")


def test_a_limit_leaves_the_rest_to_the_next_update(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, sources={"urls": [str(folder)]})
    assert (run(made, "one", limit=4).candidates, run(made, "one", limit=4).over_limit) == (4, 6)
    first = {row["location"] for row in candidates(made, "one")}
    mark_seen(made, "one")
    assert run(made, "two").candidates == 6
    assert first.isdisjoint(row["location"] for row in candidates(made, "two"))


def test_shards_by_count_and_bytes(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, shards={"max_files": 4})
    assert len(run(made, "count", sources=[str(folder)]).shards) == 3
    made = context(tmp_path, shards={"max_bytes": 1000})
    assert len(run(made, "bytes", sources=[str(folder)]).shards) > 4
    made = context(tmp_path, shards={"max_files": 1, "max_shards": 3})
    report = run(made, "most", sources=[str(folder)])
    assert len(report.shards) <= 3
    assert len(candidates(made, "most")) == 10
    assert report.shards == Update.open(made.store, "most").shards()


def test_a_retry_leaves_nothing_of_the_former_attempt(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, shards={"max_files": 2})
    former = run(made, sources=[str(folder), str(folder / "0")])
    update = Update.open(made.store, "u")
    for shard in former.shards:
        for table in ("samples", "rejects", "failures", "seen_files"):
            update.write(table, [], shard)
        update.write_report("ingest", {}, shard)
    update.write("labels", [])
    run(context(tmp_path, shards={"max_files": 8}), sources=[str(folder)])
    keys = made.store.list("staging/u")
    assert update.shards() == ["shard-0000", "shard-0001"]
    assert not [key for key in keys if "shard-0002" in key or "shard-0004" in key]
    assert update.has("labels")
    assert update.has("samples", "shard-0001")


def test_the_same_again_gives_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path, shards={"max_files": 3})
    run(made, sources=[str(folder)])
    before = {key: made.store.read_bytes(key) for key in made.store.list("staging/u")}
    run(made, sources=[str(folder)])
    assert {key: made.store.read_bytes(key) for key in made.store.list("staging/u")} == before


def test_overlapping_sources_give_a_file_once(tmp_path: Path, folder: Path) -> None:
    made = context(tmp_path)
    report = run(made, sources=[str(folder / "0"), str(folder), f"{folder}/0/0.bin"])
    assert report.candidates == 10
    assert {row["source"] for row in candidates(made)} == {str(folder / "0"), str(folder)}


def test_a_name_with_a_line_break_and_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in (b"a\nb", b"\xff", b"100%"):
        with open(os.fsencode(tmp_path / "in") + b"/" + name, "wb") as stream:
            stream.write(b"x")
    made = context(tmp_path)
    run(made, sources=[str(tmp_path / "in")])
    names = [row["location"].rsplit("/", 1)[-1] for row in candidates(made)]
    assert names == ["%FF", "100%25", "a%0Ab"]


def test_a_folder_that_cannot_be_read_is_a_reject(tmp_path: Path, folder: Path) -> None:
    missing = tmp_path / "m.csv"
    missing.write_text("sha256,location,source\n,in/0/0.bin,feed\n,gone.exe,feed\n,in/0,feed\n")
    made = context(tmp_path)
    report = run(made, sources=[str(missing)])
    assert (report.candidates, report.unreadable) == (1, 2)
    rejects = Update.open(made.store, "u").read("rejects").to_pylist()
    assert [(r["location"], r["reason"], r["source"], r["files"]) for r in rejects] == [
        (f"{tmp_path}/gone.exe", "unreadable", "feed", 1),
        (f"{tmp_path}/in/0", "unreadable", "feed", 1),
    ]
    assert rejects[0]["detail"] == f"row 2 of {missing}: no such file or directory"
    run(made, sources=[str(folder)])
    assert Update.open(made.store, "u").read("rejects").num_rows == 0


def test_a_manifest_says_more_than_the_folder(tmp_path: Path, folder: Path) -> None:
    digest = hashlib.sha256((folder / "1" / "4.bin").read_bytes()).hexdigest()
    manifest = folder / "m.jsonl"
    manifest.write_text(
        f'{{"sha256": "{digest}", "location": "1/4.bin", "first_seen": "2023-05-06", '
        '"source": "feed", "tags": ["t"]}\n'
    )
    made = context(tmp_path)
    report = run(made, sources=[str(folder), str(manifest)])
    assert report.candidates == 11
    (row,) = [row for row in candidates(made) if row["location"].endswith("4.bin")]
    assert row["expected_sha256"] == digest
    assert (row["source"], row["tags"]) == ("feed", ["t"])
    assert row["first_seen"] == datetime(2023, 5, 6, tzinfo=UTC)
    assert row["fingerprint"].endswith(f"/{digest}")
    # The window goes by the manifest's time where there is one.
    assert run(made, sources=[str(manifest)], until=date(2023, 12, 31)).candidates == 1


def test_a_wrong_row_is_left_out_counted_and_kept_with_its_reason(
    tmp_path: Path, folder: Path
) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "sha256,location,first_seen\n,in/0/0.bin,20240131\nxyz,in/0/3.bin,\n,in/0/4.bin,2099-12-31\n,in/0/5.bin,0\n"
    )
    made = context(tmp_path)
    report = run(made, sources=[str(manifest)])
    assert report.candidates == 1
    assert report.rejects == {"bad_date": 1, "bad_hash": 1, "future_date": 1}
    rows = Update.open(made.store, "u").read("rejects").to_pylist()
    assert {row["reason"]: row["detail"][:24] for row in rows} == {
        "manifest_bad_date": "row 4; row 4, field 'fir", "manifest_bad_hash": "row 2; row 2, field 'sha",
        "manifest_future_date": "row 3; row 3, field 'fir",
    }  # fmt: skip


def test_of_two_rows_about_a_file_the_earliest_date_counts(tmp_path: Path, folder: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "sha256,location,first_seen,tags\n,in/0/0.bin,2024-01-31,a\n,in/0/0.bin,2020-01-31,b\n"
    )
    made = context(tmp_path)
    report = run(made, sources=[str(manifest)])
    assert (report.candidates, report.repeated) == (1, 1)
    (row,) = candidates(made)
    assert (row["first_seen"], row["tags"]) == (datetime(2020, 1, 31, tzinfo=UTC), ["a", "b"])


def test_a_manifest_of_which_all_rows_are_wrong_is_refused(tmp_path: Path, folder: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("sha256,location\nxyz,in/0/0.bin\nxyz,in/0/3.bin\n")
    with pytest.raises(BadInputError) as error:
        run(context(tmp_path), sources=[str(manifest)])
    assert (error.value.file, error.value.row, error.value.field) == (str(manifest), 1, "sha256")


def test_a_bad_manifest_stages_nothing_where_sources_are_strict(
    tmp_path: Path, folder: Path
) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("sha256,location\n,in/0/0.bin\nxyz,in/0/3.bin\n")
    made = context(tmp_path, sources={"on_bad_row": "refuse"})
    with pytest.raises(BadInputError) as error:
        run(made, sources=[str(manifest)])
    assert (error.value.file, error.value.row, error.value.field) == (str(manifest), 2, "sha256")
    assert made.store.list("staging/u/candidates") == []


def test_rows_of_known_samples_are_skipped(tmp_path: Path, folder: Path) -> None:
    made = building.context(tmp_path / "corpus")
    building.build(made, "one", range(5))
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        f"sha256,location\n{building.sha(2)},in/0/0.bin\n{building.sha(77)},in/0/3.bin\n"
    )
    report = run(made, "two", sources=[str(manifest)])
    assert (report.candidates, report.already_seen) == (1, 1)
    # Nor does the folder bring it back.
    assert run(made, "three", sources=[str(folder), str(manifest)]).candidates == 9
    assert run(made, "four", sources=[str(manifest)], rescan=True).candidates == 2


def test_a_corrected_hash_makes_a_row_new(tmp_path: Path, folder: Path) -> None:
    manifest = tmp_path / "m.csv"
    made = context(tmp_path, sources={"urls": [str(manifest)]})
    manifest.write_text(f"sha256,location\n{'a' * 64},in/1/4.bin\n")
    run(made, "one")
    mark_seen(made, "one")
    assert run(made, "two").candidates == 0
    manifest.write_text(f"sha256,location\n{'b' * 64},in/1/4.bin\n")
    assert run(made, "three").candidates == 1


def test_known_samples_without_a_vector_are_extracted_again(tmp_path: Path) -> None:
    made = building.context(tmp_path / "corpus")
    building.build(made, "one", range(20), failed=[3, 7])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "new").write_bytes(b"x")
    report = run(made, "two", sources=[str(tmp_path / "in")], re_extract=True)
    found = candidates(made, "two")
    assert (report.candidates, report.known_samples, report.bytes) == (1, 2, 1)
    assert [row["known_sha256"] for row in found] == [
        None, *sorted([building.sha(3), building.sha(7)]),
    ]  # fmt: skip
    assert found[1]["size"] == len(building.content(7)) or found[1]["size"] == len(
        building.content(3)
    )
    # A source is not needed for it.
    assert run(made, "three", re_extract=True).known_samples == 2
    assert run(made, "four", sources=[str(tmp_path / "in")]).known_samples == 0


def test_a_feature_set_that_is_new_is_extracted_for_all(tmp_path: Path) -> None:
    made = building.context(tmp_path / "corpus")
    building.build(made, "one", range(20), failed=[3])
    sets = {"sets": [building.TINY.name, "basic-v1"]}
    root = {"root": str(tmp_path / "corpus")}
    settings = Settings.load({"store": root, "features": sets, "shards": {"max_files": 8}})
    report = run(Context(settings, made.store), "two", re_extract=True)
    assert (report.known_samples, len(report.shards)) == (20, 3)


def test_nothing_is_known_before_the_first_snapshot(tmp_path: Path) -> None:
    assert run(context(tmp_path), re_extract=True).known_samples == 0


def test_a_remote_source(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    url = f"memory://{tmp_path.name}"
    for name in ("a", "b/c"):
        fs.pipe_file(f"/{tmp_path.name}/{name}", name.encode())
    made = context(tmp_path, sources={"urls": [url]})
    run(made, "one")
    assert [row["location"] for row in candidates(made, "one")] == [f"{url}/a", f"{url}/b/c"]
    mark_seen(made, "one")
    assert run(made, "two").already_seen == 2
    fs.pipe_file(f"/{tmp_path.name}/a", b"z")
    assert run(made, "three").candidates == 1
    fs.rm(f"/{tmp_path.name}", recursive=True)


@pytest.mark.parametrize("named", ["the request", "the settings"])
def test_a_feature_set_that_does_not_exist_is_told_before_anything_is_begun(
    named: str, tmp_path: Path, folder: Path
) -> None:
    wrong = ["basic-v1", "ember-v33"]
    sections = {"features": {"sets": wrong}} if named == "the settings" else {}
    request = {"feature_sets": wrong} if named == "the request" else {}
    made = context(tmp_path, sources={"urls": [str(folder)]}, **sections)
    with pytest.raises(NotFoundError, match="there is no feature set 'ember-v33'"):
        run(made, **request)
    assert not made.store.exists("staging")
