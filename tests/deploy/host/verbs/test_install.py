"""What the package's configuration calls: a payload becomes a release, or everything stays as it is."""

from __future__ import annotations

import os

import pytest

from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast


def test_the_payload_becomes_the_current_release(host: Host, capsys: pytest.CaptureFixture[str]):
    host.install("1.0.0")
    assert host.releases.current == "1.0.0"
    told = capsys.readouterr().out
    assert "5 files compile, DAGs not loaded: images.airflow is empty" in told
    assert "1.0.0 is current.\n" in told
    host.install("1.1.0")
    assert "1.1.0 is current, 1.0.0 was before." in capsys.readouterr().out


def test_to_install_twice_changes_nothing(host: Host, capsys: pytest.CaptureFixture[str]):
    host.install("1.0.0", "1.0.0")
    assert "was here already, and is whole" in capsys.readouterr().out
    assert [name for _, name in host.releases.history()] == ["1.0.0"]


def test_another_build_of_a_version_is_refused_with_what_to_do(
    host: Host, capsys: pytest.CaptureFixture[str]
):
    host.install("1.0.0")
    host.payload("1.0.0", dag="# Another build.\n")
    assert host("install") == 2
    told = capsys.readouterr().err
    assert f"{host.releases.folder / '1.0.0'} is another build of 1.0.0." in told
    assert "Give this build a version of its own, by a commit or a tag." in told
    assert "The package's code was not taken; 1.0.0 stays current." in told


def test_a_release_that_is_current_and_not_in_the_history_is_told_as_current(
    host: Host, capsys: pytest.CaptureFixture[str]
):
    # As a full disk: nothing can be written to it.
    history = host.releases.folder / ".history"
    history.mkdir(parents=True)
    host.payload("1.0.0")
    for _ in range(2):
        assert host("install") == 1
        assert host.releases.current == "1.0.0"
        told = capsys.readouterr().err
        assert "1.0.0 is current, and that could not be noted in" in told
        assert "not taken" not in told
    history.rmdir()
    assert host("install") == 0
    assert [name for _, name in host.releases.history()] == ["1.0.0"]


def test_an_older_package_switches_back(host: Host):
    host.install("1.0.0", "1.1.0", "1.0.0")
    assert (host.releases.current, host.releases.previous) == ("1.0.0", "1.1.0")


def test_without_the_flip_the_release_waits(host: Host, capsys: pytest.CaptureFixture[str]):
    host.install("1.0.0")
    host.payload("1.1.0")
    assert host("install", "--no-flip") == 0
    assert (host.releases.current, host.releases.names()) == ("1.0.0", ["1.0.0", "1.1.0"])
    assert "1.0.0 is current; `corpus-airflow switch 1.1.0`" in capsys.readouterr().out


def test_a_dry_run_checks_and_changes_nothing(host: Host, capsys: pytest.CaptureFixture[str]):
    host.payload("1.0.0")
    assert host("install", "--dry-run") == 0
    assert "1.0.0 is whole, 5 files compile" in capsys.readouterr().out
    assert not host.releases.folder.exists()


def test_what_does_not_compile_leaves_the_old_release(
    host: Host, capsys: pytest.CaptureFixture[str]
):
    host.install("1.0.0")
    host.payload("1.1.0", dag="def update(:\n")
    assert host("install") == 3
    told = capsys.readouterr().err
    assert "dags/update.py:1: invalid syntax" in told
    assert "The package's code was not taken; 1.0.0 stays current." in told
    assert host.releases.names() == ["1.0.0"]
    assert os.readlink(host.releases.folder / "current") == "1.0.0"


def test_a_payload_that_was_changed_is_refused(host: Host, capsys: pytest.CaptureFixture[str]):
    payload = host.payload("1.0.0")
    (payload / "dags" / "update.py").write_text("# edited\n")
    assert host("install") == 3
    told = capsys.readouterr().err
    assert "dags/update.py was changed" in told
    assert "no release is current" in told


def test_a_payload_without_a_dag_is_refused(host: Host, capsys: pytest.CaptureFixture[str]):
    from deploy.host.manifest import Manifest

    payload = host.payload("1.0.0")
    (payload / "dags" / "update.py").unlink()
    Manifest.of(payload, "1.0.0", "abc").write(payload)
    assert host("install") == 3
    assert "holds no DAG file" in capsys.readouterr().err


def test_without_a_payload_it_says_what_is_missing(host: Host, capsys: pytest.CaptureFixture[str]):
    assert host("install") == 3
    assert "payload holds no release: release.json is missing" in capsys.readouterr().err


@pytest.mark.usefixtures("without_docker")
def test_without_docker_the_files_are_compiled(host: Host, capsys: pytest.CaptureFixture[str]):
    host.set("images", airflow="corpus-airflow:latest")
    host.install("1.0.0")
    assert "DAGs not loaded: no Docker engine answers" in capsys.readouterr().out
