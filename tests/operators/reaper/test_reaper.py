"""How the reaper judges; tests/system/cluster/reaper has it at work."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operators.reaper import images, reaper
from operators.reaper.__main__ import main
from operators.reaper.airflow_api import TaskKey, TaskState, by_task
from operators.reaper.images import Image, superfluous
from operators.reaper.orphans import Sightings, why_orphan
from operators.reaper.report import Report
from operators.settings import WorkerSettings
from operators.task_try import TaskTry

TRY = TaskTry("dag", "run", "task", -1, 2, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "id", 3, "host")
OWNED_BY_3 = replace(TRY, try_number=3)


@pytest.mark.parametrize(
    ("task", "owner", "why"),
    [
        (None, TRY, "no such task"),
        (TaskState("success", 2, 3), TRY, "is success"),
        (TaskState("failed", 2, 3), TRY, "is failed"),
        (TaskState("skipped", 2, 3), TRY, "is skipped"),
        (TaskState("upstream_failed", 2, 3), TRY, "is upstream_failed"),
        (TaskState("removed", 2, 3), None, "is removed"),
        (TaskState("running", 2, 3), TRY, None),
        (TaskState("running", 3, 3), TRY, "try 3 runs on another host"),
        (TaskState("running", 3, 3), OWNED_BY_3, None),
        (TaskState("running", 4, 3), OWNED_BY_3, "try 4 runs on another host"),
        # Who has taken it over is not known, so where the try runs is not either.
        (TaskState("running", 3, 3), None, None),
        (TaskState("queued", 3, 3), TRY, None),
        (TaskState("scheduled", 3, 3), TRY, None),
        (TaskState("deferred", 3, 3), TRY, None),
        (TaskState("up_for_retry", 2, 3), TRY, None),
        (TaskState("up_for_reschedule", 2, 3), TRY, None),
        (TaskState("restarting", 2, 3), TRY, None),
        (TaskState("awaiting_input", 2, 3), TRY, None),
        (TaskState("of_a_later_airflow", 2, 3), TRY, None),
        (TaskState(None, 2, 3), TRY, None),
        (TaskState(None, 2, 5), TRY, "was cleared"),
        (TaskState("queued", 3, 5), TRY, "was cleared"),
        (TaskState("running", 3, 5), OWNED_BY_3, "was cleared"),
    ],
)
def test_what_is_lost(task: TaskState | None, owner: TaskTry | None, why: str | None) -> None:
    told = why_orphan(task, TRY, owner)
    assert told is None if why is None else why in (told or "")


def test_a_suspect_is_due_when_two_passes_have_seen_it_long_enough_apart() -> None:
    sightings = Sightings(60)

    def look(now: float, *suspects: str) -> list[bool]:
        sightings.begin_pass()
        due = [sightings.due(suspect, now) for suspect in suspects]
        sightings.end_pass()
        return due

    assert look(0, "a") == [False]
    assert look(30, "a", "b") == [False, False]
    assert look(60, "a", "b") == [True, False]
    assert look(90, "a") == [True]
    # b was not seen, so it begins anew; a is remembered over a pass that was broken off.
    sightings.begin_pass()
    assert look(120, "a", "b") == [True, False]
    assert look(179, "b") == [False]
    assert look(180, "b") == [True]


def test_no_grace_still_takes_two_passes() -> None:
    sightings = Sightings(0)
    sightings.begin_pass()
    assert not sightings.due("a", 5)
    sightings.end_pass()
    sightings.begin_pass()
    assert sightings.due("a", 5)


@pytest.mark.parametrize("name", ["", ".", "..", "~", "a/b", "/"])
def test_names_that_would_ask_for_something_else(name: str) -> None:
    key = TaskKey("dag", "manual__2026-01-01T00:00:00+00:00", "group.task", 3)
    assert key.askable
    for field in ("dag_id", "run_id", "task_id"):
        assert not replace(key, **{field: name}).askable


def test_keys_are_asked_about_by_task() -> None:
    keys = [TaskKey("b", "r", "t", 1), TaskKey("a", "r", "t", -1), TaskKey("b", "r", "t", 0)]
    assert list(by_task(keys)) == [[keys[1]], [keys[2], keys[0]]]


# Images

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def image(
    number: int,
    *tags: str,
    title: str = "corpus-airflow",
    days: int = 0,
    digests: tuple[str, ...] = (),
) -> Image:
    return Image(
        f"sha256:{number:x}".ljust(71, "0"), title, tags, digests, NOW - timedelta(days=days)
    )


def test_the_newest_of_each_name_stay() -> None:
    airflow = [image(n, f"corpus-airflow:{n}", days=n) for n in range(4)]
    services = [
        image(n + 10, f"corpus-services:{n}", title="corpus-services", days=100 + n)
        for n in range(3)
    ]
    assert superfluous([*reversed(airflow), *services], (), (), 2) == [*airflow[2:], services[2]]


def test_what_is_used_or_configured_stays() -> None:
    used = image(1, "corpus-airflow:1")
    tagged = image(2, "corpus-airflow:latest", "registry.example:5000/x/corpus-airflow:2")
    by_id = image(3)
    pulled = image(4, digests=("registry.example/corpus-airflow@sha256:abc",))
    old = image(5, "corpus-airflow:5", days=1)

    def removed(*configured: str) -> list[Image]:
        return superfluous([used, tagged, by_id, pulled, old], {used.id}, configured, 0)

    assert removed("corpus-airflow", by_id.id, *pulled.digests) == [old]
    assert removed("corpus-airflow:latest", by_id.id[:-9], *pulled.digests) == [old]
    assert removed("registry.example:5000/x/corpus-airflow:2", by_id.id[7:-9]) == [pulled, old]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (image(1, "team-airflow:1"), "what others build on ours has its label"),
        (image(1, "corpus-airflow:1", "team-airflow:1"), "it has another name too"),
        (image(1, "corpus-airflow:1", title="corpus-air"), "a title like ours"),
        (image(1, "corpus-airflow:1", title=""), "no label"),
        (image(1, "corpus-airflow-2:1"), "a name like ours"),
        (image(1, digests=("team@sha256:abc",)), "pulled by another name"),
    ],
)
def test_images_of_others_stay(other: Image, why: str) -> None:
    assert superfluous([other], (), (), 0) == [], why


def test_an_image_is_as_old_as_its_last_name() -> None:
    entry = {
        "Id": "sha256:1",
        "Created": "2025-01-01T00:00:00.123456789Z",
        "Metadata": {"LastTagTime": "2026-01-31T01:00:00.5+01:00"},
        "RepoTags": ["corpus-redis:1"],
        "Config": {"Labels": {images.TITLE: "corpus-redis"}},
    }
    assert images._image(entry).since == NOW
    never = {**entry, "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"}, "RepoTags": None}
    assert images._image(never).since == datetime(2025, 1, 1, tzinfo=UTC)
    assert images._image({**entry, "Config": {"Labels": None}}).title == ""


# What it says


def test_a_line_has_run_task_try_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    Report().removed("container", "abc", "the task is failed", replace(TRY, map_index=4))
    assert capsys.readouterr().out.endswith(
        " removed container abc of dag run task[4] try 2: the task is failed.\n"
    )
    Report(as_json=True, dry_run=True).removed("container", "abc", "the task is failed", TRY)
    line = json.loads(capsys.readouterr().out)
    assert line["action"] == "would remove"
    assert (line["run_id"], line["try_number"], line["why"]) == ("run", 2, "the task is failed")


def test_a_name_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    Report().once("x", "Kept container a\nb\x1b[2K.")
    assert capsys.readouterr().out.endswith("Kept container a?b?[2K.\n")


def test_what_stays_so_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    for said in (True, True, False, True):
        if said:
            report.once("airflow", "It does not answer.")
        report.end_pass()
    assert capsys.readouterr().out.count("does not answer") == 2


def test_health_is_for_one_host(tmp_path: Path) -> None:
    settings = WorkerSettings.load({"docker": {"scratch": str(tmp_path), "host": "../a b"}})
    file = reaper.health_file(settings)
    assert file.parent == tmp_path
    assert not reaper.is_healthy(settings)
    file.touch()
    assert reaper.is_healthy(settings)


def test_what_former_reapers_have_left_goes_after_a_day(tmp_path: Path) -> None:
    settings = WorkerSettings.load({"docker": {"scratch": str(tmp_path), "host": "now"}})
    (tmp_path / "a task's folder").mkdir()
    for name, hours in ((".reaper-now", 0), (".reaper-beside", 23), (".reaper-former", 25)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    os.utime(tmp_path / "a task's folder", (0, 0))
    reaper.remove_old_health_files(settings)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".reaper-now", ".reaper-beside", "a task's folder"}


@pytest.mark.parametrize("grace", ["-1", "inf", "nan", "soon"])
def test_nonsense_is_refused(grace: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--once", "--grace", grace])
