"""What `make images` does before and after docker builds; the builds are in tests/system/cluster."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.contract.version import code_of
from deploy.build.images import wheelhouse
from deploy.build.images.__main__ import main, parse
from deploy.build.images.base import make_base
from deploy.build.images.build import Build, Built, build, table
from deploy.build.images.client import Client, Layer
from deploy.build.images.context import EPOCH, make_context
from deploy.common.errors import BuildError, NoClientError, ProgramError
from tests.deploy.local.test_wheels import build as build_wheel

REPO = Path(__file__).resolve().parents[4]
TOOLS = Path(sys.executable).parent
IMAGES = ("airflow", "services", "extractor")
# Whoever could send a sample away, or fetch what is next.
CLIENTS = {
    "aiobotocore", "aiohttp", "apache-airflow-core", "boto3", "botocore", "celery", "deltalake", "docker",
    "httpx", "psycopg2-binary", "redis", "requests", "s3fs", "urllib3",
}  # fmt: skip
TESTING = {"pytest", "hypothesis", "moto", "coverage", "mypy", "ruff", "playwright", "scikit-learn"}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_versions_that_were_tested_and_nothing_to_test_with(name: str):
    pins = wheelhouse.pins(name)
    assert pins < wheelhouse.pins("run")
    assert not TESTING & {project for project, _ in pins}


def test_what_meets_hostile_files_has_no_client_of_a_network():
    assert not CLIENTS & {project for project, _ in wheelhouse.pins("extractor")}
    assert CLIENTS & {project for project, _ in wheelhouse.pins("services")}


def test_airflow_has_no_library_that_reads_a_sample():
    reads = {"lief", "numba", "pefile", "polars", "py-tlsh", "pyarrow", "pyzipper"}
    assert not reads & {project for project, _ in wheelhouse.pins("airflow")}
    assert reads - {"polars"} <= {project for project, _ in wheelhouse.pins("extractor")}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of two packages, and locks that name them; the folder of the wheelhouse."""
    wheels = [
        build_wheel(tmp_path / "registry", name, "py3-none-any") for name in ("alpha", "beta")
    ]
    lines = [
        f"{w.requirement} \\\n    --hash=sha256:{w.sha256}\n    # via {w.name}\n" for w in wheels
    ]
    locks = tmp_path / "requirements"
    locks.mkdir()
    for name in ("build", "extractor", "airflow"):
        (locks / f"{name}.lock").write_text(lines[0])
    for name in ("run", "services"):
        (locks / f"{name}.lock").write_text("".join(lines))
    monkeypatch.setattr(wheelhouse, "REQUIREMENTS", locks)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    return tmp_path / "wheels"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_the_wheelhouse_holds_what_the_locks_name_and_is_fetched_once(small: Path):
    assert not wheelhouse.is_fresh(small)
    wheelhouse.fetch(small)
    assert names(small) == ["alpha-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"]
    assert wheelhouse.is_fresh(small)
    lock = wheelhouse.lock("run")
    lock.write_text(lock.read_text().replace("# via", "# also via"))
    assert wheelhouse.is_fresh(small)
    lock.write_text(wheelhouse.lock("build").read_text())
    assert not wheelhouse.is_fresh(small)
    wheelhouse.fetch(small)
    assert names(small) == ["alpha-1.0-py3-none-any.whl"]


def test_other_content_than_the_locked_does_not_get_into_the_wheelhouse(small: Path):
    lock = wheelhouse.lock("run")
    lock.write_text(re.sub(r"sha256:\w{64}", f"sha256:{'0' * 64}", lock.read_text()))
    with pytest.raises(ProgramError, match=r"pip download failed \(status 1\)"):
        wheelhouse.fetch(small)
    assert not wheelhouse.is_fresh(small)


def test_a_folder_for_an_image_links_what_its_lock_names(small: Path, tmp_path: Path):
    wheelhouse.fetch(small)
    wheelhouse.link(small, "extractor", tmp_path / "part")
    assert names(tmp_path / "part") == ["alpha-1.0-py3-none-any.whl", "lock"]
    assert (tmp_path / "part" / "alpha-1.0-py3-none-any.whl").stat().st_nlink == 2
    (small / "beta-1.0-py3-none-any.whl").unlink()
    with pytest.raises(BuildError, match=r"services\.lock names beta==1\.0"):
        wheelhouse.link(small, "services", tmp_path / "other")


def test_neither_umask_nor_checkout_shows_in_the_context(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheelhouse.fetch(small)
    monkeypatch.chdir(REPO)
    context = tmp_path / "context"
    (context / "left").mkdir(parents=True)
    former = os.umask(0o077)
    try:
        make_context(context, small)
    finally:
        os.umask(former)
    assert names(context) == ["deploy", "docker", "source", "wheels"]
    assert names(context / "deploy") == ["__init__.py", "common", "container"]
    assert names(context / "wheels") == ["airflow", "build", "extractor", "services"]
    assert (context / "source" / "corpus" / "cli" / "main.py").is_file()
    assert (context / "source" / "corpus" / "card" / "templates" / "card.html").is_file()
    assert not list(context.rglob("__pycache__"))
    # The wheel takes its version from there, since the context is not a checkout.
    assert code_of(context / "source").version == code_of(REPO).version
    # Files of the cluster that no image holds.
    assert not list(context.rglob("compose*.yaml"))
    for part in ("deploy", "docker", "source"):
        for path in (context / part).rglob("*"):
            info = path.stat()
            assert info.st_mtime == EPOCH
            assert stat.S_IMODE(info.st_mode) == (0o755 if path.is_dir() else 0o644)


def test_what_runs_in_containers_needs_no_more_of_deploy_than_the_image_has(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheelhouse.fetch(small)
    monkeypatch.chdir(REPO)
    make_context(tmp_path / "context", small)
    names = [
        "health.__main__",
        "health.api_server",
        "health.jobs",
        "health.reaper",
        "health.worker",
    ]
    names += ["init.__main__", "init.accounts", "init.with_auth"]
    if importlib.util.find_spec("airflow"):
        names += ["init.database", "init.fab", "results.backend", "results.configuration"]
    code = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]: importlib.import_module(f'deploy.container.{name}')\n"
        "print(*sorted({m.__file__ for n, m in sys.modules.items() if n.startswith('deploy')}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, tmp_path / "context", *names],
        cwd=tmp_path,
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    used = {
        Path(name).relative_to(tmp_path / "context")
        for name in done.stdout.splitlines()[-1].split()
    }
    there = {
        path.relative_to(tmp_path / "context")
        for path in (tmp_path / "context" / "deploy").rglob("*.py")
    }
    # What no process there reads has no place there.
    assert {str(path) for path in there - used} <= {
        *("deploy/container/init/database.py", "deploy/container/init/fab.py"),
    }


def client(folder: Path, version: str, buildx: int) -> Path:
    """A program that answers as a docker client of a version does, with or without buildx."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --version) echo "Docker version {version}, build 1";; *) exit {buildx};; esac\n'
    )
    program.chmod(0o755)
    return program


def test_a_client_that_cannot_build_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client(tmp_path / "new", "28.2.2", 1)
    old = client(tmp_path / "old", "20.10.24+dfsg1", 1)
    both = client(tmp_path / "both", "28.2.2", 0)
    path = f"{tmp_path / 'empty'}:{tmp_path / 'new'}"
    monkeypatch.setenv("PATH", f"{path}:{tmp_path / 'old'}")
    assert Client.find() == Client(str(old))
    monkeypatch.setenv("PATH", f"{path}:{tmp_path / 'both'}")
    assert Client.find() == Client(str(both))
    monkeypatch.setenv("PATH", path)
    with pytest.raises(NoClientError, match="install docker-buildx"):
        Client.find()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(NoClientError, match=r"deploy/scripts/engine\.sh up"):
        Client.find()


def test_the_table_has_a_line_an_image_with_its_layers_from_the_root_on():
    layers = [Layer(3_000_000, "code"), Layer(74_400_000, "root")]
    image = Built(
        "services", "sha256:" + hashlib.sha256(b"x").hexdigest(), 77_400_000, layers, 1.26
    )
    header, line = table([image], ["latest", "0.1.0"]).splitlines()
    assert re.split("  +", header) == ["image", "tags", "id", "size", "layers (MB)", "built in"]
    assert line.split("  ")[0] == "corpus-services"
    assert "latest, 0.1.0" in line
    assert "77 MB" in line
    assert "74 + 3" in line
    assert line.endswith("1.3 s")


def test_who_is_not_root_is_told_how_to_make_a_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    work = tmp_path / "a work folder"
    with pytest.raises(BuildError, match="takes root") as caught:
        make_base(Client("docker"), work / "images")
    command = shlex.split(str(caught.value).splitlines()[-1])
    assert command[:4] == ["sudo", sys.executable, "-m", "deploy.build.images"]
    options = parse(command[4:])
    assert (options.work, options.only_base) == (work, True)


def test_a_build_is_told_base_version_and_revision_and_no_secret():
    plan = Build(Path("c"), "corpus-base:x", ["latest", "1.2"], "1.2", "abc")
    command = plan.command(Client("docker"), "airflow")
    assert command[:2] == ["docker", "build"]
    assert [command[n + 1] for n, word in enumerate(command) if word == "--build-arg"] == [
        "BASE=corpus-base:x", "VERSION=1.2", "REVISION=abc", "RENEWED=",
    ]  # fmt: skip
    assert [command[n + 1] for n, word in enumerate(command) if word == "--tag"] == [
        "corpus-airflow:latest", "corpus-airflow:1.2",
    ]  # fmt: skip


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    client(tmp_path / "bin", "20.10.24", 1)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.chdir(REPO)
    work = tmp_path / "work"
    assert main(["--dry-run", "--renew", "--work", str(work), "extractor"]) == 0
    told = capsys.readouterr().out
    assert "--target extractor" in told
    assert "--target airflow" not in told
    assert "would fetch" in told
    assert not work.exists()


def test_an_unknown_image_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["airflows"])
    assert "there is no image airflows; there are airflow, services" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tool", "files"),
    [
        ("hadolint", ["docker/Dockerfile"]),
        ("shellcheck", [*REPO.glob("docker/*/*.sh"), *REPO.glob("deploy/**/*.sh")]),
    ],
)
def test_linters_have_nothing_to_say(tool: str, files: list[str | Path]):
    if not (TOOLS / tool).exists():
        pytest.skip(f"{tool} is not installed: make setup-dev")
    assert files
    done = subprocess.run(
        [TOOLS / tool, *files], cwd=REPO, check=False, capture_output=True, text=True
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


DYING = """#!/bin/sh
# A client whose engine dies of the first build, and lives again once "started" is there.
echo "$1" >> "$PLACE/calls"
case $1 in
    --version) echo "Docker version 20.10.24+dfsg1, build 297e128" ;;
    version) [ -e "$PLACE/started" ] ;;
    build) [ -e "$PLACE/started" ] || { echo "unexpected EOF"; exit 1; } ;;
    image) echo '[{"Id": "sha256:abc", "Size": 1}]' ;;
    history) ;;
esac
"""


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = tmp_path / "docker"
    client.write_text(DYING)
    client.chmod(0o755)
    monkeypatch.setenv("PLACE", str(tmp_path))
    return Client(str(client))


def plan_in(folder: Path) -> Build:
    return Build(folder, base="debian", tags=["latest"], version="1", revision="r", renewed="")


def test_a_build_goes_on_after_the_engine_died_of_it(dying, tmp_path, capsys):
    built = build(dying, plan_in(tmp_path), "services", tmp_path, (tmp_path / "started").touch)
    assert built.id == "sha256:abc"
    assert "engine died" in capsys.readouterr().out
    assert (tmp_path / "calls").read_text().split().count("build") == 2


def test_an_engine_that_dies_again_and_again_is_an_error(dying, tmp_path):
    with pytest.raises(ProgramError, match="unexpected EOF"):
        build(dying, plan_in(tmp_path), "services", tmp_path, lambda: None)
    assert (tmp_path / "calls").read_text().split().count("build") == 4


def test_a_build_that_fails_on_a_living_engine_is_not_tried_again(dying, tmp_path):
    script = Path(dying.path)
    script.write_text(DYING.replace('version) [ -e "$PLACE/started" ] ;;', "version) ;;"))
    with pytest.raises(ProgramError, match="unexpected EOF"):
        build(dying, plan_in(tmp_path), "services", tmp_path, lambda: None)
    assert (tmp_path / "calls").read_text().split().count("build") == 1
