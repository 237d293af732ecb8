"""`make doctor`, as a person types it, and as `make run` and `make cluster-up` call it first."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.local.doctor.plans import PLANS, REPO, Start

pytestmark = pytest.mark.fast

SCRIPT = ("sh", str(REPO / "deploy" / "scripts" / "doctor.sh"))


def doctor(*words: str, make: bool = False, **shell: str) -> subprocess.CompletedProcess[str]:
    """Run it with the variables of a shell; with the system's Python, and no virtual environment on PATH."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "USER") if name in os.environ}
    return subprocess.run(
        [*(("make",) if make else SCRIPT), *words],
        cwd=REPO, capture_output=True, text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **kept, **shell},
    )  # fmt: skip


def found(*words: str, **shell: str) -> dict[str, dict[str, str]]:
    done = doctor(*words, "--json", **shell)
    read = json.loads(done.stdout)
    assert done.stderr == ""
    assert all(list(one) == ["name", "status", "what", "do"] for one in read)
    assert all(one["status"] in ("ok", "warn", "wrong") for one in read)
    assert all(bool(one["do"]) == (one["status"] != "ok") for one in read)
    assert done.returncode == (3 if any(one["status"] == "wrong" for one in read) else 0)
    return {one["name"]: one for one in read}


needs_python = pytest.mark.skipif(
    shutil.which("python3.11", path="/usr/bin") is None, reason="the system has no Python 3.11"
)


@needs_python
@pytest.mark.parametrize("what", PLANS)
def test_before_anything_is_installed(what: str, tmp_path: Path):
    """The system's own Python, and nothing of ours made yet; nothing is left behind."""
    work = tmp_path / "work"
    told = found("--for", what, WORK=str(work), VENV=str(tmp_path / "venv"))
    assert told["python"]["what"].endswith("/usr/bin/python3.11")
    assert "is made at the first start" in told["virtual environment"]["what"]
    # A program may take its time on a busy machine.
    failed = [one["what"] for one in told.values() if "could not be looked at" in one["what"]]
    assert all("did not end within" in what for what in failed), failed
    assert list(tmp_path.iterdir()) == []
    table = doctor("--for", what, WORK=str(work)).stdout.splitlines()
    assert table[-1].startswith(f"{len(told)} things looked at: ")


@needs_python
def test_make_shows_it(tmp_path: Path):
    done = doctor("doctor", f"WORK={tmp_path}", "JSON=1", make=True)
    assert {"memory", "shared memory"} <= {one["name"] for one in json.loads(done.stdout)}
    assert "container limits" in doctor("doctor", "FOR=cluster", make=True).stdout


@needs_python
def test_before_a_start_it_says_only_what_is_not_ok(tmp_path: Path):
    samples = str(tmp_path / 'a "quoted" name')
    quiet = doctor("--quiet", WORK=str(tmp_path), SAMPLES=samples)
    assert quiet.returncode == 3
    assert quiet.stdout == ""
    assert f"samples  {samples} does not exist." in quiet.stderr
    assert "\nok " not in f"\n{quiet.stderr}"
    assert quiet.stderr.endswith("SKIP_DOCTOR=1 starts all the same.\n")
    Path(samples).mkdir()
    well = doctor("--quiet", WORK=str(tmp_path), SAMPLES=samples)
    assert all(line.startswith(("warn", " ")) for line in well.stderr.splitlines())


@needs_python
@pytest.mark.parametrize("target", ["run", "up", "cluster-up"])
def test_what_is_wrong_stops_the_start(target: str, tmp_path: Path):
    # What is installed by a start would be below this folder.
    done = doctor(
        target, f"WORK={tmp_path}", f"VENV={tmp_path}/venv", f"SAMPLES={tmp_path}/none", make=True
    )
    assert done.returncode != 0
    assert "none does not exist." in done.stderr
    assert "So nothing is started." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_left_out(tmp_path: Path):
    shell = {"SAMPLES": str(tmp_path / "none"), "SKIP_DOCTOR": "1"}
    quiet = doctor("--quiet", **shell)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_another_python():
    none = doctor("--for", "cluster", PYTHON="/none/python")
    assert none.returncode == 3
    assert "There is no Python 3.11 here; /none/python is another." in none.stderr
    # setup.sh installs one, or says so.
    assert doctor("--quiet", PYTHON="/none/python").returncode == 0


@needs_python
def test_what_the_embedded_airflow_gets_of_a_shell(tmp_path: Path):
    told = found(WORK=str(tmp_path), AIRFLOW_HOME="/elsewhere", CORPUS_STORE__ROOT="/corpus")
    assert told["variables"]["status"] == "ok"
    assert (
        "Variables of this shell that are not used here: AIRFLOW_HOME." in told["variables"]["what"]
    )
    assert "hold here: CORPUS_STORE__ROOT." in told["variables"]["what"]
    assert found(WORK=str(tmp_path), PYTHONHOME="/none")["python variables"]["status"] == "wrong"
    assert found(WORK=str(tmp_path), all_proxy="socks5://x:1")["proxies"]["status"] == "wrong"


@needs_python
def test_what_a_cluster_gets_of_a_shell(tmp_path: Path):
    told = found("--for", "cluster", WORK=str(tmp_path), CORPUS_IMAGE_TAG="1.4.0")["variables"]
    assert told["status"] == "warn"
    assert "does not get: CORPUS_IMAGE_TAG." in told["what"]
    assert str(tmp_path / "cluster" / "site.env") in told["do"]


@needs_python
def test_the_port_of_a_cluster(tmp_path: Path):
    site = tmp_path / "cluster" / "site.env"
    site.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        given = found("--for", "cluster", WORK=str(tmp_path), PORT=str(port))["port"]
        assert given["status"] == "wrong"
        assert given["do"].endswith("PORT=NUMBER make cluster-up")
        site.write_text(f"CORPUS_API_PORT={port}\n")
        own = found("--for", "cluster", WORK=str(tmp_path))["port"]
        assert own["do"].endswith(f"CORPUS_API_PORT in {site}")
    assert found("--for", "cluster", WORK=str(tmp_path))["port"]["status"] == "ok"


@needs_python
@pytest.mark.parametrize(
    ("what", "name"), [("embedded", "a%b"), ("embedded", "a?b"), ("cluster", "a'b")]
)
def test_a_work_folder_whose_path_is_misread(what: str, name: str, tmp_path: Path):
    assert found("--for", what, WORK=str(tmp_path / name))["path"]["status"] == "wrong"
    assert found("--for", what, WORK=str(tmp_path / "a b"))["path"]["status"] == "ok"


@needs_python
def test_settings_of_both(tmp_path: Path):
    for what, folder in (("embedded", tmp_path), ("cluster", tmp_path / "cluster" / "settings")):
        (folder / "conf.d").mkdir(parents=True)
        (folder / "corpus.toml").write_text("")
        (folder / "conf.d" / "own.toml").write_text("=")
        told = found("--for", what, WORK=str(tmp_path))["settings"]
        assert told["what"].startswith(f"{folder / 'conf.d' / 'own.toml'} is not TOML")


def test_a_plan_reads_nothing(tmp_path: Path):
    """A disk that does not answer must not stop it before the checks have their time."""
    for plan in PLANS.values():
        checks = plan(Start(tmp_path / "none", tmp_path / "none", {}))
        assert all(callable(check) for check in checks.values())
