"""Where caches are for somebody without a home folder: what setup.sh, engine.sh and `make lock` do alike."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

REPO = Path(__file__).resolve().parents[3]
# Nothing is ever made there, not even by root.
HOMES = {"unset": None, "empty": "", "missing": "/proc/none"}
# Says where its cache would be.
UV = '#!/bin/sh\nprintf "%s\\n" "${UV_CACHE_DIR:-the usual}"\n'
DOCKER = "#!/bin/sh\nexit 0\n"


def call(*command: str, home: str | None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", "DOCKER_CONFIG", "UV_CACHE_DIR", "PIP_CACHE_DIR")
    }
    environment |= {"HOME": home} if home is not None else {}
    return subprocess.run(
        command, cwd=REPO, env=environment | more, capture_output=True, text=True, check=False
    )


def program(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES.keys())
def test_locks_are_made_without_a_home_folder(home: str | None, tmp_path: Path):
    work = tmp_path / "a work folder"
    venv = program(tmp_path, "venv/bin/uv", UV).parents[1]
    done = call(
        "make",
        "--no-print-directory",
        "-o",
        "setup-dev",
        "lock",
        f"WORK={work}",
        f"VENV={venv}",
        home=home,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {str(work / "uv-cache")}


def test_whoever_has_one_keeps_the_usual_caches(tmp_path: Path):
    venv = program(tmp_path, "venv/bin/uv", UV).parents[1]
    done = call(
        "make",
        "--no-print-directory",
        "-o",
        "setup-dev",
        "lock",
        f"VENV={venv}",
        home=str(tmp_path),
    )
    assert set(done.stdout.splitlines()) == {"the usual"}


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES.keys())
def test_dockers_client_gets_a_folder_that_can_be_written_to(home: str | None, tmp_path: Path):
    path = f"{program(tmp_path, 'bin/docker', DOCKER).parent}:{os.environ['PATH']}"
    work = tmp_path / "work"
    script = ("sh", "deploy/scripts/engine.sh", "docker-config")
    done = call(*script, home=home, PATH=path, WORK=str(work))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{work}/engine/docker-config\n"
    assert os.access(done.stdout.strip(), os.W_OK)


def test_dockers_client_keeps_its_own_folder(tmp_path: Path):
    path = f"{program(tmp_path, 'bin/docker', DOCKER).parent}:{os.environ['PATH']}"
    script = ("sh", "deploy/scripts/engine.sh", "docker-config")
    assert call(*script, home=str(tmp_path), PATH=path).stdout == f"{tmp_path}/.docker\n"
    given = call(*script, home=None, PATH=path, DOCKER_CONFIG="/some/folder", WORK=str(tmp_path))
    assert given.stdout == "/some/folder\n"
