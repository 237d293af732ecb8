"""The input of a work folder, as `make run` and `make cluster-up` settle it one start after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from corpus.settings import Settings
from deploy.common.errors import InputError
from deploy.local import demo
from deploy.local.cluster.configuration import Engine, Options, choose, write_corpus_toml
from deploy.local.cluster.workdir import Place
from deploy.local.embedded.command import configure
from deploy.local.embedded.server import EmbeddedAirflow


class Start:
    """One of the two ways to start: writes the settings of a work folder, and reads them as a task does."""

    def __init__(self, work: Path, cluster: bool):
        self.work = work
        self._cluster = cluster
        home = work / "cluster" if cluster else work
        self.config = home / "settings" / "corpus.toml" if cluster else home / "corpus.toml"
        self.record = home / "input.json"
        self.corpus = home / "corpus"
        self.demo = work / "demo"

    def __call__(self, samples: str | None = None, verdicts: str | None = None) -> Settings:
        self.work.mkdir(exist_ok=True)
        if self._cluster:
            place = Place(self.work)
            place.write_settings(
                choose(place, Options(), Engine(Path("/run/engine"), 111), "digest")
            )
            write_corpus_toml(place, Options(samples=samples, verdicts=verdicts))
        else:
            configure(EmbeddedAirflow(self.work), samples, verdicts)
        return Settings.load(file=self.config)

    def update(self) -> None:
        """Leave what an update leaves."""
        (self.corpus / "snapshots").mkdir(parents=True)


@pytest.fixture(params=[False, True], ids=["run", "cluster-up"])
def start(tmp_path: Path, request: pytest.FixtureRequest, no_demo: None) -> Start:
    return Start(tmp_path / "work", request.param)


@pytest.fixture
def no_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the demo would come, and what it would be called, without a download."""
    monkeypatch.setattr(demo, "pinned", list)


def inputs(settings: Settings) -> tuple[list[str], list[str]]:
    return settings.sources.urls, [feed.place for feed in settings.verdicts.feeds]


def test_what_was_given_is_used_by_later_starts(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start("/data/samples", "/data/verdicts.csv")
    before = start.config.read_text()
    capsys.readouterr()
    assert inputs(start()) == (["/data/samples"], ["/data/verdicts.csv"])
    assert start.config.read_text() == before
    assert capsys.readouterr().out == (
        "Input: samples /data/samples; verdicts /data/verdicts.csv.\n"
    )
    assert not start.demo.exists()


def test_a_relative_path_means_the_same_from_another_folder(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start("samples")
    monkeypatch.chdir("/")
    assert inputs(start()) == ([str(tmp_path / "samples")], [])


@pytest.mark.parametrize("again", [("/data/other", None), (None, "/data/new.csv")])
def test_an_option_wins_from_then_on_and_the_other_stays(
    start: Start, again: tuple[str | None, str | None]
) -> None:
    start("/data/samples", "/data/verdicts.csv")
    start(*again)
    samples, verdicts = again
    assert inputs(start()) == ([samples or "/data/samples"], [verdicts or "/data/verdicts.csv"])
    assert not start.demo.exists()


def test_the_demo_comes_into_a_folder_without_a_corpus_and_stays(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    first = inputs(start())
    assert first == ([str(start.demo / "samples")], [str(start.demo / "verdicts.csv")])
    assert f"samples {start.demo / 'samples'} (the demo's); verdicts" in capsys.readouterr().out
    start.update()
    assert inputs(start()) == first


def test_ones_own_samples_end_the_demo_with_its_verdicts(start: Start) -> None:
    start()
    start("/data/samples")
    assert inputs(start()) == (["/data/samples"], [])


def test_verdicts_alone_are_for_the_demos_samples(start: Start) -> None:
    start(verdicts="/data/verdicts.csv")
    assert inputs(start()) == ([str(start.demo / "samples")], ["/data/verdicts.csv"])


def test_the_demo_never_comes_into_a_corpus(start: Start) -> None:
    start.update()
    for verdicts in (None, "/data/verdicts.csv"):
        with pytest.raises(InputError, match=rf"{start.corpus} holds a corpus.* SAMPLES="):
            start(verdicts=verdicts)
    assert not start.demo.exists()
    assert not start.config.exists()
    assert inputs(start("/data/samples")) == (["/data/samples"], [])


def test_settings_that_are_gone_are_written_from_what_is_remembered(start: Start) -> None:
    start("/data/samples", "/data/verdicts.csv")
    start.update()
    start.config.unlink()
    assert inputs(start()) == (["/data/samples"], ["/data/verdicts.csv"])


def by_hand(start: Start) -> str:
    start("/data/samples", "/data/verdicts.csv")
    edited = start.config.read_text().replace('"/data/samples"', '"/data/one", "/data/two"')
    start.config.write_text(edited)
    return edited


def without_a_record(start: Start) -> str:
    """A file that was brought here, or that an older release wrote."""
    edited = by_hand(start)
    start.record.unlink()
    return edited


@pytest.mark.parametrize("edit", [by_hand, without_a_record])
def test_an_edited_file_stays_and_is_used(
    start: Start, edit: Callable[[Start], str], capsys: pytest.CaptureFixture[str]
) -> None:
    edited = edit(start)
    capsys.readouterr()
    for given in ((None, None), (None, "/data/verdicts.csv")):
        assert inputs(start(*given)) == (["/data/one", "/data/two"], ["/data/verdicts.csv"])
    assert start.config.read_text() == edited
    assert (
        f"samples /data/one, /data/two; verdicts /data/verdicts.csv (from {start.config}, edited"
        in (capsys.readouterr().out)
    )
    assert not start.demo.exists()


@pytest.mark.parametrize("edit", [by_hand, without_a_record])
def test_an_option_against_an_edited_file_is_refused_with_what_to_edit(
    start: Start, edit: Callable[[Start], str]
) -> None:
    edited = edit(start)
    with pytest.raises(InputError) as refused:
        start("/data/other", "/data/verdicts.csv")
    assert f'{start.config} was written by hand and says [sources] urls = ["/data/one"' in str(
        refused.value
    )
    assert "which SAMPLES does not change. Edit that line" in str(refused.value)
    assert start.config.read_text() == edited


def test_a_file_of_conf_d_wins_and_is_named(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    own = start.config.parent / "conf.d" / "10-input.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[sources]\nurls = ["s3://bucket/samples"]\n')
    assert inputs(start()) == (["s3://bucket/samples"], [])
    assert "samples s3://bucket/samples; verdicts none" in capsys.readouterr().out
    assert not start.demo.exists()
    with pytest.raises(InputError, match=rf"{own} was written by hand.*SAMPLES"):
        start("/data/other")


@pytest.mark.parametrize("content", ["{", "[1]", '"x"'])
def test_a_damaged_record_is_named(start: Start, content: str) -> None:
    start("/data/samples")
    start.record.write_text(content)
    with pytest.raises(InputError, match=f"{start.record} cannot be read"):
        start()


def test_an_edited_file_that_is_no_toml_is_named(start: Start) -> None:
    start("/data/samples")
    start.config.write_text("[sources\n")
    with pytest.raises(InputError, match=f"{start.config} cannot be read"):
        start()


def test_more_workers_change_a_file_of_the_clusters_own_and_not_an_edited_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = Start(tmp_path / "work", cluster=True)
    start("/data/samples")
    place = Place(start.work)
    engine = Engine(Path("/run/engine"), 111)
    place.write_settings(choose(place, Options(workers=7), engine, "digest"))
    grown = start().shards.workers
    assert grown == 7 * int(place.settings()["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    start.config.write_text(start.config.read_text() + "max_files = 9\n")
    place.write_settings(choose(place, Options(workers=14), engine, "digest"))
    capsys.readouterr()
    assert (start().shards.workers, start().shards.max_files) == (grown, 9)
    assert f"{start.config} says shards.workers = {grown}; for these workers" in (
        capsys.readouterr().out
    )
