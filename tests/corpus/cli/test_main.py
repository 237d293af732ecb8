"""The command as a shell sees it: output, exit status, result file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.contract.registry import SERVICES
from tests.support.building import build, context


def corpus(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "corpus", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "CORPUS_CONFIG": "/nonexistent", **(env or {})},
        check=False,
    )


def test_help_lists_every_service_with_a_summary():
    shown = corpus("--help")
    assert shown.returncode == 0
    for service in SERVICES.values():
        assert service.name in shown.stdout
    assert "Exit status" in shown.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_explains_each_of_its_options(name):
    shown = corpus(name, "--help")
    assert shown.returncode == 0
    for field, info in SERVICES[name].request.model_fields.items():
        assert f"--{field.replace('_', '-')}" in shown.stdout
        assert info.description, f"{name} --{field} has no help"


def test_unknown_option_is_bad_input_in_the_result_file_too(tmp_path):
    result = tmp_path / "result.json"
    ended = corpus("--root", str(tmp_path / "c"), "--result", str(result), "label", "--nonsense")
    assert ended.returncode == 2
    assert "--nonsense" in ended.stderr
    assert json.loads(result.read_text())["error"]["type"] == "BadSettingError"


def test_unknown_setting_names_the_setting(tmp_path):
    ended = corpus("--root", str(tmp_path), "--set", "labels.precedenc=1", "label")
    assert ended.returncode == 2
    assert "labels.precedenc" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_service_that_needs_an_update_says_how_to_begin_one(tmp_path):
    ended = corpus("--root", str(tmp_path), "ingest", "--update", "u1")
    assert ended.returncode == 6
    assert "u1" in ended.stderr
    assert "collect" in ended.stderr


def test_an_error_keeps_its_exit_status_where_its_result_cannot_be_written(tmp_path):
    result = tmp_path / "gone" / "result.json"
    ended = corpus("--root", str(tmp_path), "--result", str(result), "ingest", "--update", "u1")
    assert ended.returncode == 6
    assert str(result.parent) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sources_that_do_not_exist_are_bad_input(tmp_path):
    result = tmp_path / "result.json"
    ended = corpus(
        "--root", str(tmp_path / "c"), "--result", str(result),
        "collect", "--update", "u1", "--sources", str(tmp_path / "nowhere"),
    )  # fmt: skip
    assert ended.returncode == 2
    outcome = json.loads(result.read_text())
    assert outcome["status"] == "error"
    assert "nowhere" in outcome["error"]["message"]


def test_a_report_is_json_on_request(tmp_path):
    (tmp_path / "in").mkdir()
    ended = corpus(
        "--root", str(tmp_path / "c"), "collect", "--update", "u1",
        "--sources", str(tmp_path / "in"), "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["update"] == "u1"


def test_listing_an_empty_corpus_is_an_empty_list(tmp_path):
    listed = corpus("--root", str(tmp_path), "snapshots", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])


def test_a_missing_snapshot_is_not_found(tmp_path):
    for command in (["verify", "s9"], ["snapshots", "show", "s9"], ["diff", "s8", "s9"]):
        ended = corpus("--root", str(tmp_path), *command)
        assert ended.returncode == 6, command
        assert "Traceback" not in ended.stderr


def test_config_names_the_origin_of_each_value_and_masks_secrets(tmp_path: Path):
    file = tmp_path / "corpus.toml"
    file.write_text('[labels]\nmin_confidence = 0.9\n[store.options]\nsecret = "planted-secret"\n')
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10.toml").write_text("[groups]\ntlsh_distance = 20\n")
    shown = corpus(
        "--config", str(file), "--set", "splits.seed=7", "--root", "/srv/x", "config", "--json",
        env={"CORPUS_FEATURES__JOBS": "3"},
    )  # fmt: skip
    rows = {row["name"]: row for row in json.loads(shown.stdout)}
    assert rows["labels.min_confidence"] == {
        "name": "labels.min_confidence",
        "value": 0.9,
        "origin": str(file),
    }
    assert rows["groups.tlsh_distance"]["origin"].endswith("10.toml")
    assert (rows["splits.seed"]["value"], rows["splits.seed"]["origin"]) == (7, "--set")
    assert rows["features.jobs"]["origin"] == "environment CORPUS_FEATURES__JOBS"
    assert rows["store.root"]["origin"] == "--root"
    assert rows["gates.max_psi_warn"]["origin"] == "default"
    assert "planted-secret" not in shown.stdout
    assert "planted-secret" not in corpus("--config", str(file), "config").stdout


def test_a_broken_settings_file_is_named(tmp_path):
    file = tmp_path / "corpus.toml"
    file.write_text("[labels\n")
    ended = corpus("--config", str(file), "config")
    assert ended.returncode == 2
    assert str(file) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_config_of_no_such_setting_is_bad_input():
    done = corpus("config", "splits.sed")
    assert done.returncode == 2
    assert "splits.sed" in done.stderr


def test_storage_that_cannot_be_reached_may_be_tried_again():
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_MAX_ATTEMPTS": "1"}
    # Nothing listens on port 1.
    keys["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    done = corpus("--root", "s3://bucket/corpus", "snapshots", "list", env=keys)
    assert done.returncode == 75, done.stderr
    assert "Traceback" not in done.stderr


def test_listing_a_corpus_that_does_not_exist_is_not_found(tmp_path: Path):
    listed = corpus("--root", str(tmp_path / "nowhere"), "snapshots", "list", "--json")
    assert (listed.returncode, listed.stdout) == (6, "")
    assert f"{tmp_path / 'nowhere'} does not exist" in listed.stderr
    assert "--root" in listed.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_corpus_that_may_not_be_read_is_a_wrong_setting(tmp_path: Path):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("another user can only be taken on by root, with setpriv")
    made = context(tmp_path / "c")
    build(made, "one", range(4))
    for path in (tmp_path / "c", *(tmp_path / "c").rglob("*")):
        # So that only what is closed below is what may not be read.
        path.chmod(path.stat().st_mode | (0o005 if path.is_dir() else 0o004))
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        # pytest makes its folders for their owner alone.
        if len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    user = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-m", "corpus"]
    user += ["--root", str(tmp_path / "c")]
    env = {**os.environ, "CORPUS_CONFIG": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}

    def ended(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*user, *command], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    if (said := ended("snapshots", "list")).returncode:
        pytest.skip(f"this interpreter is not for other users: {said.stderr.strip()[-200:]}")
    for closed, command in {
        "snapshots": ["snapshots", "list"],
        "snapshots/one/manifest.json": ["snapshots", "show", "one"],
        "snapshots/latest.json": ["snapshots", "show"],
        "staging": ["validate", "--update", "one"],
        "data/samples": ["export", "--out", str(tmp_path / "out" / "all.parquet")],
    }.items():
        place = tmp_path / "c" / closed
        mode = place.stat().st_mode
        place.chmod(0)
        done = ended(*command)
        place.chmod(mode)
        assert done.returncode == 2, (closed, done.stderr)
        assert "cannot be read: permission denied" in done.stderr
        assert str(place) in done.stderr, closed
        assert "Traceback" not in done.stderr


def test_an_empty_root_is_not_the_current_folder(tmp_path):
    for rest in (["snapshots", "list"], ["collect", "--sources", "."]):
        ended = corpus("--root", "", *rest)
        assert ended.returncode == 2
        assert "--root" in ended.stderr


def test_an_export_to_standard_output_is_refused(tmp_path):
    ended = corpus("--root", str(tmp_path), "export", "--format", "npz", "--out", "-")
    assert ended.returncode == 2
    assert "--out" in ended.stderr
