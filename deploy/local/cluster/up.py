"""Bring a cluster up: only what is missing is made, and only what changed is started anew."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.common import atomic
from deploy.common.errors import ClusterError
from deploy.common.shell import run
from deploy.local.cluster import credentials, database, workers
from deploy.local.cluster.address import refuse_taken_port
from deploy.local.cluster.compose import Compose, call, docker, proxy_exceptions, start_engine
from deploy.local.cluster.configuration import (
    IMAGES,
    Engine,
    Options,
    choose,
    images,
    write_corpus_toml,
)
from deploy.local.cluster.down import stop_airflow
from deploy.local.cluster.ownership import hand_over
from deploy.local.cluster.release import release
from deploy.local.cluster.timings import Phases
from deploy.local.cluster.trouble import explained, wait_until_well
from deploy.local.cluster.workdir import REPO, Place

# When a start counts as failed; it takes a minute on an idle machine.
START_SECONDS = 300
CONSUME_SECONDS = 60


def up(place: Place, options: Options, *, init: bool = False) -> Compose:
    """Start what is not running, with the settings as they are now. Raises `ClusterError`."""
    print("Bringing the cluster up ...", flush=True)
    phases = Phases()
    with phases.phase("engine"):
        engine = find_engine()
    with phases.phase("settings, secrets, code, input"):
        place.folder.mkdir(parents=True, exist_ok=True)
        code = release(REPO, place / "code")
        choice = choose(place, options, engine, code)
        choice["CORPUS_NO_PROXY"] = proxy_exceptions()
        # Before anything is written or started: what is left is as it was.
        _refuse_anothers(place, choice["COMPOSE_PROJECT_NAME"])
        refuse_taken_port(place, {**choice, **place.own()})
        place.write_settings(choice)
        variables = place.settings()
        compose = Compose(place)
        write_corpus_toml(place, options)
        credentials.generate(place / "secrets")
        credentials.generate_users(place / "users")
    image = ensure_images(phases, variables)
    with phases.phase("owners of folders and secrets"):
        own = [place / name for name in ("logs", "scratch", "corpus")]
        for folder in own:
            if not folder.exists():
                folder.mkdir()
                # Not for other users of the machine; the person who is in its group reads what containers write there.
                folder.chmod(0o2750)
        hand_over([*own, *credentials.files(place / "secrets", place / "users")], image)
    with phases.phase("Redis and Postgres"):
        _start(compose, *_DATABASES)
        wait_until_well(compose, START_SECONDS, _DATABASES)
        database.prepare(compose)
    done, wanted = place / "init.done", init_makes(place, image)
    known = done.read_text() if done.is_file() else ""
    if init or known != wanted or not database.is_migrated(compose):
        with phases.phase("init: migrations, users and roles"):
            if image not in known:
                # Airflow of another version should not find the tables change below it.
                stop_airflow(compose)
            compose.run("--profile", "init", "run", "--rm", "-T", "init", capture=True)
            atomic.write(done, wanted)
    with phases.phase("services, until they are healthy"):
        _start(compose, "--remove-orphans")
        wait_until_well(compose, START_SECONDS)
    with phases.phase("workers, until they take tasks"):
        workers.wait_until_consuming(compose, int(variables["CORPUS_WORKERS"]), CONSUME_SECONDS)
    print(f"The cluster is up, after {phases.seconds:.0f} s.", flush=True)
    return compose


_REVISION = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
_UP = ("up", "--detach", "--no-build", "--pull", "never")
_DATABASES = ("postgres", "redis")


def _start(compose: Compose, *what: str) -> None:
    began = time.monotonic()
    try:
        compose.run(*_UP, *what, capture=True)
    except ClusterError as error:
        raise explained(compose, error, time.monotonic() - began) from None


def find_engine() -> Engine:
    """Start the engine if it does not run; return where its socket is."""
    start_engine()
    socket = Path(os.environ.get("ENGINE_FOLDER", "/run/corpus-engine"), "docker.sock")
    return Engine(socket.parent, socket.stat().st_gid)


def ensure_images(phases: Phases, variables: Mapping[str, str]) -> str:
    """Build the images if one is missing; the id of Airflow's.

    Raises `ClusterError` if one is missing that cannot be built here: a registry's, or a pinned one.
    """
    names, tag = images(variables), variables["CORPUS_IMAGE_TAG"] or "latest"
    built_here = {name for name in IMAGES if names[name] == f"corpus-{name}:{tag}"}
    missing = [name for name in IMAGES if image_id(names[name]) is None]
    if foreign := [names[name] for name in missing if name not in built_here]:
        pulls = "\n".join(f"    docker pull {name}" for name in foreign)
        raise ClusterError(
            f"site.env names images that this machine has not got. Type this, then try again:\n{pulls}"
        )
    if missing:
        print(f"  Building {', '.join(missing)} (several minutes, once) ...", flush=True)
        with phases.phase("images"):
            # The wheels are the checkout's, whichever the work folder.
            work = ("--work", REPO / ".work")
            call([sys.executable, "-m", "deploy.build.images", *work, "--tag", tag, *missing])
    built = docker("inspect", "--format", _REVISION, names["services"]).strip()
    if "services" in built_here and not _is_this_code(built):
        print(
            f"  The images were built of other code ({built[:12]}): `make images` builds them anew."
        )
    return str(image_id(names["airflow"]))


def image_id(name: str) -> str | None:
    """Id of an image by its name, digest or id; None if the engine has none such."""
    try:
        return docker("image", "inspect", "--format", "{{.Id}}", name).strip()
    except ClusterError as error:
        if "no such image" in str(error).lower():
            return None
        raise


def init_makes(place: Place, image: str) -> str:
    """What the init job goes by: if this differs from what it was at its last run, it has to run again."""
    auth = place.settings().get("CORPUS_AUTH") or "fab"
    return f"{image} {auth} {_digest(place / 'users')}"


def _digest(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    content = b"".join(b"%a%b" % (str(file), file.read_bytes()) for file in files)
    return hashlib.sha256(content).hexdigest()


def _is_this_code(revision: str) -> bool:
    """Whether the files that enter an image are those of a commit. Where nothing tells: yes."""
    commit, _, dirty = revision.partition("-")
    inputs = ("corpus", "deploy/common", "deploy/container", "docker/Dockerfile", "requirements")
    command = ["git", "diff", "--quiet", commit, "--", *inputs]
    done = run(command, folder=REPO)
    return not dirty and done.returncode != 1


def _refuse_anothers(place: Place, project: str) -> None:
    label = "com.docker.compose.project"
    there = docker(
        *("ps", "--all", "--filter", f"label={label}={project}"),
        *("--format", f'{{{{.Label "{label}.environment_file"}}}}'),
    )
    own = str(place.env_files[0])
    for files in filter(None, set(there.splitlines())):
        if own not in files.split(","):
            raise ClusterError(
                f"The project {project!r} is another work folder's: {os.path.dirname(files.split(',')[0])}.\n"
                "Give this cluster a name of its own: PROJECT=name make cluster-up"
            )
