"""What `up` chooses and writes, and the secrets that it makes."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path

import pytest

from corpus.settings import Settings
from deploy.common.env_file import read_env
from deploy.common.errors import ClusterError
from deploy.local.cluster import configuration, credentials
from deploy.local.cluster.configuration import (
    Engine,
    Options,
    choose,
    corpus_root,
    write_corpus_toml,
)
from deploy.local.cluster.up import init_makes
from deploy.local.cluster.workdir import Place

pytestmark = pytest.mark.fast

ENGINE = Engine(Path("/run/engine"), 111)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "a work folder")


def chosen(place: Place, **options: object) -> dict[str, str]:
    variables = choose(place, Options(**options), ENGINE, "digest")  # type: ignore[arg-type]
    place.write_settings(variables)
    return variables


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("workers", [1, 2, 3, 10])
def test_all_tasks_have_slots_with_one_worker_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
):
    monkeypatch.setattr("deploy.local.cluster.configuration.usable_cores", lambda: cores)
    variables = chosen(place, workers=workers)
    slots = int(variables["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    parallelism = int(variables["AIRFLOW__CORE__PARALLELISM"])
    assert parallelism == slots * max(1, workers - 1)
    assert parallelism >= cores


def test_what_was_chosen_once_stays(place: Place):
    first = chosen(place, workers=3, port=18080, project="mine", tag="1.2")
    assert chosen(place) == first
    assert chosen(place, workers=2)["CORPUS_API_PORT"] == "18080"


def test_a_port_that_is_taken_is_not_chosen(place: Place, monkeypatch: pytest.MonkeyPatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(configuration, "PREFERRED_PORT", taken.getsockname()[1])
        assert chosen(place)["CORPUS_API_PORT"] != str(taken.getsockname()[1])


def test_settings_of_a_person_win_and_are_never_written_again(place: Place):
    chosen(place)
    site = place / "site.env"
    site.write_text("CORPUS_WORKERS=\"5\"\n# a comment\n\nCORPUS_STOP_GRACE='1h'\n")
    chosen(place)
    assert site.read_text().startswith('CORPUS_WORKERS="5"')
    settings = place.settings()
    assert (settings["CORPUS_WORKERS"], settings["CORPUS_STOP_GRACE"]) == ("5", "1h")
    slots = int(settings["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert int(settings["AIRFLOW__CORE__PARALLELISM"]) == 4 * slots
    assert settings["CORPUS_DATA"] == str(place.corpus)
    assert set(read_env(site)) == {"CORPUS_WORKERS", "CORPUS_STOP_GRACE"}


def test_slots_of_a_persons_own_count(place: Place):
    chosen(place, workers=3)
    (place / "site.env").write_text("AIRFLOW__CELERY__WORKER_CONCURRENCY=5\n")
    chosen(place)
    assert place.settings()["AIRFLOW__CORE__PARALLELISM"] == "10"
    write_corpus_toml(place, Options(samples="s3://bucket/samples"))
    settings = Settings.load(file=place / "settings" / "corpus.toml")
    assert settings.shards.workers == 15


def test_what_a_person_has_fixed_is_not_asked_otherwise(place: Place):
    chosen(place)
    (place / "site.env").write_text("CORPUS_WORKERS=3\n")
    with pytest.raises(ClusterError, match=r"site\.env says CORPUS_WORKERS=3"):
        chosen(place, workers=2)
    assert chosen(place, workers=3)["CORPUS_WORKERS"] == "3"


@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
@pytest.mark.parametrize("name", ["CORPUS_WORKERS", "AIRFLOW__CELERY__WORKER_CONCURRENCY"])
def test_a_count_that_is_none_is_named(place: Place, name: str, value: str):
    chosen(place)
    (place / "site.env").write_text(f"{name}={value}\n")
    with pytest.raises(ClusterError, match=name):
        chosen(place)


def test_init_runs_again_for_other_users_another_image_or_another_way_to_log_in(place: Place):
    chosen(place)
    credentials.generate_users(place / "users")
    known = {init_makes(place, "image"), init_makes(place, "other")}
    (place / "site.env").write_text("CORPUS_AUTH=fab\n")
    assert init_makes(place, "image") in known  # the default
    (place / "site.env").write_text("CORPUS_AUTH=simple\n")
    known.add(init_makes(place, "image"))
    (place / "users" / "passwords" / "viewer").unlink()
    known.add(init_makes(place, "image"))
    assert len(known) == 4


def test_a_value_that_the_file_cannot_hold_is_refused(place: Place):
    with pytest.raises(ClusterError, match="CORPUS_IMAGE_TAG"):
        place.write_settings({"CORPUS_IMAGE_TAG": "it's"})


def test_corpus_toml_is_read_as_it_was_meant(place: Place, tmp_path: Path):
    chosen(place, workers=2)
    samples = str(tmp_path / 'samples "of mine"')
    write_corpus_toml(place, Options(samples=samples, verdicts="s3://bucket/verdicts.csv"))
    file = place / "settings" / "corpus.toml"
    settings = Settings.load(file=file)
    assert settings.store.root == str(place.corpus)
    assert settings.sources.urls == [samples]
    assert [feed.place for feed in settings.verdicts.feeds] == ["s3://bucket/verdicts.csv"]
    slots = int(place.settings()["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert settings.shards.workers == 2 * slots
    # The input stays, whatever the next call says of it.
    before = file.read_text()
    write_corpus_toml(place, Options())
    assert file.read_text() == before


def test_the_corpus_is_where_a_persons_own_settings_say(place: Place):
    chosen(place)
    write_corpus_toml(place, Options(samples="s3://bucket/samples"))
    assert corpus_root(place) == str(place.corpus)
    own = place / "settings" / "conf.d" / "store.toml"
    own.write_text('[store]\nroot = "s3://bucket/corpus"\n')
    assert corpus_root(place) == "s3://bucket/corpus"
    own.write_text("[store\n")
    with pytest.raises(ClusterError, match=r"store\.toml cannot be read"):
        corpus_root(place)


def test_secrets_are_made_once_and_for_their_user_alone(place: Place):
    place.folder.mkdir(parents=True)
    credentials.generate(place / "secrets")
    credentials.generate_users(place / "users")
    files = credentials.files(place / "secrets", place / "users")
    before = {file: file.read_text() for file in files}
    assert len(set(before.values())) == len(before) == 13
    for file, value in before.items():
        assert file.stat().st_mode & 0o777 == 0o440
        assert value == value.strip()
        assert len(value) >= 24
    credentials.generate(place / "secrets")
    credentials.generate_users(place / "users")
    assert {file: file.read_text() for file in files} == before
    assert len(base64.urlsafe_b64decode(before[place / "secrets" / "fernet_key"])) == 32
    assert before[place / "secrets" / "redis_password"] in before[place / "secrets" / "broker_url"]


def test_a_user_who_was_added_gets_a_password(place: Place):
    place.folder.mkdir(parents=True)
    users = place / "users"
    credentials.generate_users(users)
    listed = {user["name"] for user in tomllib.loads((users / "users.toml").read_text())["user"]}
    assert listed == {"admin", "scientist", "viewer"}
    with (users / "users.toml").open("a") as file:
        file.write('\n[[user]]\nname = "ada"\nrole = "Viewer"\n')
    credentials.generate_users(users)
    assert {one.name for one in (users / "passwords").iterdir()} == {*listed, "ada", "reaper"}
