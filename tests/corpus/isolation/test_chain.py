"""Whole updates whose hostile services work in workspaces: the snapshot is the one made without."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from corpus.contract.progress import Progress
from corpus.contract.requests import IngestRequest
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.services.ingest.service import ingest
from corpus.settings import Settings
from corpus.settings.toml import to_toml
from corpus.snapshots.verify import verify
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.corpus.store.test_s3 import BUCKET, options  # noqa: F401 - a fixture
from tests.support.archive_files import aes_zip_of, zip_of
from tests.support.executables import launcher, real_elfs, real_pes
from tests.support.workspaces import request, staged, staged_in, staged_out, through_workspace

ALL = "collect ingest import-verdicts label extract group split validate publish"
REPO = Path(__file__).resolve().parents[3]
IMAGE = {"name": "corpus-services", "digest": "sha256:" + "1" * 64}
SANDBOX_IMAGE = {"name": "corpus-extractor", "digest": "sha256:" + "2" * 64}


def first_files() -> dict[str, bytes]:
    return {
        **{f"{path.name}-{n}": path.read_bytes() for n, path in enumerate(real_pes()[:4])},
        "elf": real_elfs()[1].read_bytes(),
        "locked.zip": aes_zip_of({"x.exe": launcher("w64.exe")}, b"planted-password"),
        "notes.txt": b"no executable",
        "empty": b"",
    }


def later_files() -> dict[str, bytes]:
    return {
        "again": real_pes()[0].read_bytes(),
        "new.zip": zip_of({"x": launcher("w64-arm.exe"), "y": real_elfs()[1].read_bytes()}),
    }


def verdicts(file: Path) -> Path:
    executables = [path.read_bytes() for path in real_pes()]
    lines = [
        f"{hashlib.sha256(data).hexdigest()},{'malicious' if n % 2 else 'benign'},demo,2024-01-{n + 1:02}"
        for n, data in enumerate(dict.fromkeys(executables))
    ]
    file.write_text("\n".join(["sha256,verdict,reporter,reported_at", *lines]) + "\n")
    return file


def context(root: str, source: str, verdicts: Path, sets: list[str], **more: Any) -> Context:
    settings = Settings.load(
        {
            "store": {"root": root, **more},
            "sources": {"urls": [source], "archive_passwords": ["infected", "planted-password"]},
            "verdicts": {"feeds": [{"place": str(verdicts), "reporter": "*"}]},
            "shards": {"max_files": 3},
            "features": {"sets": sets},
        }
    )
    run = {"dag_id": "d", "image": IMAGE, "sandbox_image": SANDBOX_IMAGE}
    made = Context.from_settings(settings, run)
    return replace(made, progress=Progress(write=lambda line: None))


def update(made: Context, name: str, workspaces: Path | None = None, **collect: Any) -> None:
    for service in ALL.split():
        if workspaces and service in ("ingest", "extract"):
            for shard in Update.open(made.store, name).shards():
                through_a_workspace(made, service, name, shard, workspaces)
        else:
            own = collect if service == "collect" else {}
            run_service(request(service, name, **own), made)


def through_a_workspace(
    made: Context, service: str, name: str, shard: str, workspaces: Path
) -> None:
    folder = workspaces / f"{name}-{service}-{shard}"
    told = replace(made, service=service)
    staged_in(told, service, folder, name, shards=[shard])
    work = ["--root", str(folder), service, f"--update={name}", f"--shards={shard}"]
    settings = workspaces / "corpus.toml"
    settings.write_text(to_toml(made.settings, archive_passwords=True, addresses=False))
    # No network, no secret, and nothing of the corpus but the workspace: all else is out of reach.
    away = [Path(made.store.path), *map(Path, made.settings.sources.urls)]
    away = [path for path in away if path.is_absolute() and path.is_dir()]
    for path in away:
        path.rename(path.with_name(f"{path.name}.away"))
    try:
        environment = {"PATH": os.environ["PATH"], "CORPUS_CONFIG": str(settings)}
        command = [sys.executable, "-m", "corpus", *work]
        unshared = [*NO_NETWORK, *command]
        done = subprocess.run(
            unshared, env=environment, cwd=REPO, capture_output=True, text=True, check=False
        )
    finally:
        for path in away:
            path.with_name(f"{path.name}.away").rename(path)
    assert done.returncode == 0, done.stderr
    staged_out(told, service, folder, name, shards=[shard])


def _no_network() -> list[str]:
    unshare = ["unshare", "--net", "--"]
    try:
        tried = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return []
    return unshare if tried == 0 else []


# Where this machine lets us. Elsewhere the service has no address to go to.
NO_NETWORK = _no_network()


def manifests(made: Context, *names: str) -> list[Mapping[str, Any]]:
    found = [Snapshot.open(made.store, name).manifest for name in names]
    assert verify(made.store).findings == []
    return found


def files_in(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def s3(server: Mapping[str, Any]) -> Any:
    keys = {"aws_access_key_id": server["key"], "aws_secret_access_key": server["secret"]}
    endpoint = server["endpoint_url"]
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


@pytest.fixture(scope="module")
def without_workspaces(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, Any]]:
    """The manifests of two updates, the second of which extracts another set of what is known."""
    folder = tmp_path_factory.mktemp("whole")
    source, said = folder / "in", verdicts(folder / "verdicts.csv")
    files_in(source, first_files())
    root = str(folder / "corpus")
    update(context(root, str(source), said, ["basic-v1"]), "one")
    files_in(source, later_files())
    made = context(root, str(source), said, ["basic-v1", "corpus-v1"])
    update(made, "two", re_extract=True)
    return manifests(made, "one", "two")


def assert_equal(mine: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert mine["content_digest"] == other["content_digest"]
    assert mine["counts"] == other["counts"]
    assert mine["changes"] == other["changes"]
    assert mine["images"]["extract"] == [SANDBOX_IMAGE, IMAGE]


def test_in_a_folder(tmp_path: Path, without_workspaces: list[Mapping[str, Any]]) -> None:
    source, said = tmp_path / "in", verdicts(tmp_path / "verdicts.csv")
    (tmp_path / "workspaces").mkdir()
    files_in(source, first_files())
    root = str(tmp_path / "parts")
    update(context(root, str(source), said, ["basic-v1"]), "one", tmp_path / "workspaces")
    files_in(source, later_files())
    made = context(root, str(source), said, ["basic-v1", "corpus-v1"])
    update(made, "two", tmp_path / "workspaces", re_extract=True)
    one, two = manifests(made, "one", "two")
    assert_equal(one, without_workspaces[0])
    assert_equal(two, without_workspaces[1])
    assert two["counts"]["vectors"] == dict.fromkeys(("basic-v1", "corpus-v1"), 7)


def test_on_s3_with_sources_on_s3(
    tmp_path: Path,
    options: dict[str, Any],  # noqa: F811
    without_workspaces: list[Mapping[str, Any]],
) -> None:
    said, prefix = verdicts(tmp_path / "verdicts.csv"), uuid.uuid4().hex
    (tmp_path / "workspaces").mkdir()
    client = s3(options)
    # One update: what is taken back and forth from the second one on is the same in a folder.
    for name, data in first_files().items():
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/in/{name}", Body=data)
    root, source = f"s3://{BUCKET}/{prefix}/corpus", f"s3://{BUCKET}/{prefix}/in"
    made = context(root, source, said, ["basic-v1"], options=options)
    update(made, "one", tmp_path / "workspaces")
    assert_equal(manifests(made, "one")[0], without_workspaces[0])
    inside = b"".join(path.read_bytes() for path in tmp_path.joinpath("workspaces").rglob("*.json"))
    assert b"fake" not in inside


def test_a_remote_source_that_changed_or_went(tmp_path: Path, options: dict[str, Any]) -> None:  # noqa: F811
    client, prefix = s3(options), uuid.uuid4().hex
    for name in "abc":
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/in/{name}", Body=launcher())
    corpora = []
    for name in ("whole", "parts"):
        root, source = f"s3://{BUCKET}/{prefix}/{name}", f"s3://{BUCKET}/{prefix}/in"
        corpora.append(context(root, source, tmp_path, ["basic-v1"], options=options))
        run_service(request("collect"), corpora[-1])
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/in/a", Body=launcher("w32.exe"))
    client.delete_object(Bucket=BUCKET, Key=f"{prefix}/in/b")
    whole, parts = corpora
    ingest(IngestRequest(update="u"), whole)
    through_workspace(parts, "ingest", tmp_path / "workspace")
    one, other = (
        {key: data for key, data in staged(made.store).items() if "/image-" not in key}
        for made in corpora
    )
    assert one == other
    reasons = [row["reason"] for row in Update.open(parts.store, "u").read("rejects").to_pylist()]
    assert reasons == ["changed", "changed"]
