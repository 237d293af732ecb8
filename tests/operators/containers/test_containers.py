"""What needs no engine: labels, the scratch folder, what containers may see."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.contract.registry import SERVICES
from corpus.errors import BadInputError, BadSettingError, PassingFaultError
from corpus.settings import Settings
from operators.containers.refusals import refusals
from operators.containers.scratch import Scratch, read_owner, remove, user_of
from operators.containers.spec import Bind, Limits, Spec
from operators.errors import EngineError, NoSuchThingError
from operators.runners.command import Call
from operators.runners.mounts import Mounts, local
from operators.settings import DockerSettings
from operators.task_try import TaskTry
from tests.support.spellings import REFUSED, garden, spelled

TASK = TaskTry(
    dag_id="dag",
    run_id="manual__2026-01-01T00:00:00+00:00",
    task_id="group.task",
    map_index=3,
    try_number=1,
    run_uuid=str(uuid.uuid4()),
    task_instance_id=str(uuid.uuid4()),
    generation=2,
    host="worker-1",
)
NEXT = replace(TASK, try_number=2, task_instance_id=str(uuid.uuid4()))
USER = (os.geteuid(), os.getegid())


def scratch(root: Path, task: TaskTry = TASK) -> Scratch:
    return Scratch(root, task, USER)


def settings(**sections: object) -> Settings:
    return Settings.load({"store": {"root": "/data/corpus"}, **sections})


def mounts(service: str, configured: Settings, *binds: str, **call: object) -> Mounts:
    return Mounts(configured, binds, SERVICES[service], Call(service, **call))  # type: ignore[arg-type]


class TestLabels:
    def test_tell_whose_container_it_is(self) -> None:
        assert TaskTry.from_labels({**TASK.labels(), "another": "label"}) == TASK

    @pytest.mark.parametrize("changed", [{"corpus.map_index": "x"}, {"corpus.host": None}])
    def test_of_somebody_else_are_nobody_s(self, changed: dict[str, str | None]) -> None:
        labels = {name: value for name, value in {**TASK.labels(), **changed}.items() if value}
        assert TaskTry.from_labels(labels) is None

    def test_find_all_tries_of_a_task_and_no_other_task(self) -> None:
        assert TASK.filters() == NEXT.filters()
        assert TASK.filters() != replace(TASK, map_index=4).filters()


class TestScratch:
    def test_one_folder_for_all_tries(self, tmp_path: Path) -> None:
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim()
        first.folder("run").joinpath("result.json").write_text("{}")
        first.mark_done("run")
        assert second.continues()
        second.claim()
        assert second.is_done("run")
        assert read_owner(second.path) == NEXT

    def test_a_cleared_task_begins_with_an_empty_one(self, tmp_path: Path) -> None:
        scratch(tmp_path).claim()
        scratch(tmp_path).mark_done("run")
        cleared = scratch(tmp_path, replace(NEXT, generation=3))
        assert not cleared.continues()
        cleared.claim()
        assert not cleared.is_done("run")

    def test_after_a_try_that_was_told_to_stop_it_is_made_anew(self, tmp_path: Path) -> None:
        """A task that is cleared while it runs keeps its generation, and is to run again all the same."""
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim()
        first.mark_done("stage-in")
        first.give_up()
        # It may still do away with what it has.
        assert first.owned()
        assert not second.continues()
        second.claim()
        assert not second.is_done("stage-in")
        assert second.continues()
        # Too late to touch what is another's.
        first.give_up()
        assert second.continues()

    def test_after_a_crash_of_the_host_it_is_made_anew(self, tmp_path: Path) -> None:
        """Nothing in it was synced, so that files of a step that is done may be empty."""
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim()
        first.mark_done("run")
        owner = first.path / "owner.json"
        owner.write_text(json.dumps(json.loads(owner.read_text()) | {"boot": "another"}))
        assert read_owner(first.path) == TASK
        assert not second.continues()
        second.claim()
        assert not second.is_done("run")
        assert second.continues()

    def test_another_work_begins_with_an_empty_one(self, tmp_path: Path) -> None:
        """As after an upgrade: what other images made is neither gone on with nor told as these'."""
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim("image 1")
        first.mark_done("stage-in")
        assert second.continues("image 1")
        assert not second.continues("image 2")
        second.claim("image 2")
        assert not second.is_done("stage-in")
        assert os.listdir(tmp_path) == [second.path.name]

    def test_a_try_that_was_overtaken_marks_nothing(self, tmp_path: Path) -> None:
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim()
        second.claim()
        with pytest.raises(PassingFaultError, match="later attempt has taken this task over"):
            first.mark_done("stage-in")
        assert not second.is_done("stage-in")

    def test_a_folder_in_the_place_of_a_result_is_forgotten(self, tmp_path: Path) -> None:
        mine = scratch(tmp_path)
        mine.claim()
        result = mine.folder("run") / "result.json"
        (result / "inner").mkdir(parents=True)
        mine.forget("run")
        assert not result.exists()

    def test_what_a_later_try_has_is_not_removed(self, tmp_path: Path) -> None:
        first, second = scratch(tmp_path), scratch(tmp_path, NEXT)
        first.claim()
        second.claim()
        first.release()
        assert second.path.is_dir()
        second.release()
        assert list(tmp_path.iterdir()) == []

    def test_settings_are_nobody_else_s_to_read(self, tmp_path: Path) -> None:
        mine = scratch(tmp_path)
        mine.claim()
        assert mine.write("settings.toml", "x").stat().st_mode & 0o777 == 0o600
        assert mine.path.stat().st_mode & 0o777 == 0o700

    def test_deep_and_locked_folders_are_removed(self, tmp_path: Path) -> None:
        folder = tmp_path / "hostile"
        folder.mkdir()
        here = os.getcwd()
        os.chdir(folder)
        for _ in range(2_000):
            os.mkdir("deeper")
            os.chdir("deeper")
        os.chdir(here)
        (folder / "locked" / "inner").mkdir(parents=True)
        (folder / "locked").chmod(0)
        remove(folder)
        assert not folder.exists()

    def test_a_link_in_it_is_not_followed(self, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.mkdir()
        (precious / "file").touch()
        mine = scratch(tmp_path)
        mine.claim()
        (mine.path / "link").symlink_to(precious)
        mine.release()
        assert (precious / "file").exists()

    def test_root_is_nobody_to_run_as(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert user_of("1000:1001") == (1000, 1001)
        for setting in ("0:0", "1000:0", "0:1000"):
            with pytest.raises(BadSettingError):
                user_of(setting)

    @pytest.mark.parametrize(
        "setting", ["1000", "nobody", "1000:", ":1000", "1:2:3", "-1:1", "a:b"]
    )
    def test_a_user_is_two_numbers(self, setting: str) -> None:
        with pytest.raises(BadSettingError, match="is not uid:gid"):
            user_of(setting)

    def test_a_worker_that_is_not_root_has_containers_of_its_own_user(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert user_of("1000:1001") == (1000, 1001)
        with pytest.raises(BadSettingError, match="the worker runs as uid 1000"):
            user_of("1001:1001")


class TestMounts:
    def test_a_service_sees_what_it_reads_and_no_more(self) -> None:
        configured = settings(
            sources={"urls": ["/samples", "/lists/today.csv"]},
            verdicts={"feeds": [{"place": "/verdicts"}]},
        )
        corpus, more = Bind("/data/corpus", "/data/corpus", True), Bind("/more", "/more", True)
        lists, samples = Bind("/lists", "/lists"), Bind("/samples", "/samples")
        assert mounts("collect", configured, "/more").binds() == [corpus, lists, more, samples]
        assert mounts("import-verdicts", configured, "/more").binds() == [
            corpus,
            more,
            Bind("/verdicts", "/verdicts"),
        ]
        assert mounts("label", configured, "/more").binds() == [corpus, more]

    def test_what_is_below_a_writable_folder_is_seen_with_it(self) -> None:
        assert mounts("label", settings(), "/data").binds() == [Bind("/data", "/data", True)]

    @pytest.mark.parametrize(
        ("root", "sources", "service", "remote"),
        [
            ("/data/corpus", "/samples", "collect", False),
            ("s3://bucket/corpus", "/samples", "label", True),
            ("/data/corpus", "s3://samples", "collect", True),
            ("/data/corpus", "s3://samples", "label", False),
            # The samples of an update may be others than the settings'.
            ("/data/corpus", "/samples", "ingest", True),
            ("/data/corpus", "/samples", "extract", False),
        ],
    )
    def test_a_network_only_where_something_is_remote(
        self, root: str, sources: str, service: str, remote: bool
    ) -> None:
        configured = Settings.load({"store": {"root": root}, "sources": {"urls": [sources]}})
        assert mounts(service, configured).remote is remote

    def test_what_a_run_names_is_looked_at(self) -> None:
        configured = settings(sources={"urls": ["/samples"]})
        https = {"sources": ["https://x/list.csv"]}
        listed = settings(sources={"urls": ["/samples", "https://x/all/"]})
        assert mounts("collect", configured, options=https).remote
        with pytest.raises(BadInputError, match="https:// is not an allowed"):
            mounts("collect", configured, options=https).binds()
        mounts("collect", listed, options=https).binds()
        with pytest.raises(BadInputError, match="/etc is not a folder that containers see"):
            mounts("collect", configured, options={"sources": ["/etc"]}).binds()
        # Sources are there to be read: no corpus is made in them.
        with pytest.raises(BadInputError, match="/samples/corpus"):
            mounts("label", configured, root="/samples/corpus").binds()
        mounts("collect", configured, options={"sources": ["/samples/new"]}).binds()
        mounts("label", configured, root="/data/corpus/sub").binds()

    @pytest.mark.parametrize("text", REFUSED)
    def test_no_spelling_passes_for_something_remote(self, tmp_path: Path, text: str) -> None:
        """What counts as remote here would be read as a local file in the container."""
        names = garden(tmp_path)
        configured = settings(sources={"urls": [names["{in}"]]})
        found = mounts("collect", configured, options={"sources": [spelled(text, names)]})
        if text not in (
            "{in}/link-to-secret",
            "{in}/link-to-out/secret.txt",
            "{in}/link-inside",
            "{in}/fifo",
        ):
            with pytest.raises(BadInputError):
                found.binds()
        # These lie below a folder that is mounted; the container, in which the links lead nowhere, refuses them.
        else:
            assert not found.remote

    @pytest.mark.parametrize(
        ("text", "path"),
        [("/a/b/", "/a/b"), ("file:///a/b", "/a/b"), ("local:///a", "/a"), ("s3://b/c", None)],
    )
    def test_a_place_here_or_elsewhere(self, text: str, path: str | None) -> None:
        assert local(text) == path

    def test_roots_that_are_added_are_seen_by_what_reads(self) -> None:
        configured = settings(sources={"urls": ["/samples"]}, places={"roots": ["/more"]})
        assert Bind("/more", "/more") in mounts("collect", configured).binds()
        assert Bind("/more", "/more") not in mounts("label", configured).binds()
        mounts("collect", configured, options={"sources": ["/more/today"]}).binds()
        # In the container, what a run overrides is a setting; what is allowed is the worker's.
        told = mounts("collect", configured, "/writable").settings.places.roots
        assert told == ["/more", "/writable"]

    def test_a_run_overrides_what_is_its_to_override(self) -> None:
        found = mounts("label", settings(), overrides={"labels.min_confidence": "0.75"})
        assert found.settings.labels.min_confidence == 0.75
        for name in (
            "docker.binds",
            "docker",
            "store.options",
            "store.options.key",
            "runner",
            "places.roots",
        ):
            with pytest.raises(BadInputError, match="may not override"):
                mounts("label", settings(), overrides={name: "1"})

    @pytest.mark.parametrize(
        "overrides",
        [
            {"store": '{"options": {"endpoint_url": "https://elsewhere"}}'},
            {"store": '{"options": {}}'},
            {"store ": '{"options": {}}'},
            {"sources": '{"archive_passwords": ["x"]}'},
        ],
    )
    def test_a_section_is_no_way_around_that(self, overrides: dict[str, str]) -> None:
        with pytest.raises(BadInputError, match="may not override"):
            mounts("label", settings(), overrides=overrides)


class TestSpec:
    SPEC = Spec(image="image", command=["true"], user="1:1", limits=Limits.of(DockerSettings()))

    def test_work_is_told_by_image_and_command(self) -> None:
        same = replace(self.SPEC, environment={"CORPUS_RUN": "another try"})
        assert same.digest == self.SPEC.digest
        for other in ({"image": "x"}, {"command": ["false"]}, {"entrypoint": ["sh"]}):
            assert replace(self.SPEC, **other).digest != self.SPEC.digest  # type: ignore[arg-type]

    def test_what_the_worker_reaches_without_a_proxy_its_containers_do_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "api-server,redis")
        monkeypatch.delenv("no_proxy", raising=False)
        proxied = {"http_proxy": "http://proxy:3128", "no_proxy": "ml.example"}
        spec = replace(self.SPEC, environment=proxied)
        assert set(spec.config("sha256:1", {})["Env"]) == {
            "http_proxy=http://proxy:3128",
            "no_proxy=ml.example,api-server,redis,127.0.0.1,localhost,::1",
            "NO_PROXY=ml.example,api-server,redis,127.0.0.1,localhost,::1",
        }

    @pytest.mark.parametrize("source", ["/", "/run", "/run/engine", "/run/engine/docker.sock"])
    def test_the_engine_s_socket_is_told(self, source: str) -> None:
        assert Bind(source, "/x").shows("unix:///run/engine/docker.sock")
        assert not Bind(source + "-other", "/x").shows("unix:///run/engine/docker.sock")
        assert not Bind(source, "/x").shows("tcp://engine:2376")


class TestRefusals:
    """What the engine says, and whether another attempt may help."""

    SPEC = replace(TestSpec.SPEC, network="bridge")

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (NoSuchThingError(404, "network bridge not found"), BadSettingError),
            (
                EngineError(500, "failed to create endpoint x on network bridge: exchange full"),
                PassingFaultError,
            ),
            (
                EngineError(500, "could not find an available IPv4 on network bridge"),
                PassingFaultError,
            ),
            (NoSuchThingError(404, "No such image: sha256:1"), PassingFaultError),
            (EngineError(500, "bind source path does not exist: /x"), BadSettingError),
            (NoSuchThingError(404, "No such container: 1"), NoSuchThingError),
        ],
    )
    def test_are_final_only_where_a_setting_is_wrong(
        self, error: EngineError, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind), refusals(self.SPEC):
            raise error
