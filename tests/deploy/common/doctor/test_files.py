"""Files that a person wrote, or named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.common.doctor import files
from tests.deploy.common.doctor.apart import NOBODY, ask, needs_root

pytestmark = pytest.mark.fast

READER = 50000


def test_settings_that_can_be_read(tmp_path: Path):
    file = tmp_path / "corpus.toml"
    assert files.settings([file]).what == "none yet"
    file.write_text("[store]\nroot = '/corpus'\n")
    assert files.settings([file, tmp_path / "none.toml"]).what == str(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[store]\nroot = /corpus\n", "is not TOML: "), (b"a = '\xe4'\n", "is not UTF-8")],
)
def test_settings_that_are_broken(content: bytes, said: str, tmp_path: Path):
    good, bad = tmp_path / "corpus.toml", tmp_path / "site.toml"
    good.write_text("")
    bad.write_bytes(content)
    found = files.settings([good, bad])
    assert found.status == "wrong"
    assert found.what.startswith(f"{bad} {said}")


def test_settings_that_containers_cannot_read(tmp_path: Path):
    tmp_path.chmod(0o755)
    file = tmp_path / "corpus.toml"
    file.write_text("")
    file.chmod(0o600)
    found = files.settings([file], READER)
    assert (found.status, found.do) == ("wrong", f"As root: chmod o+rX {file}")
    assert f"by {READER}, whom the containers run as" in found.what


@needs_root
def test_settings_that_only_root_may_read():
    first = f"mount('/mnt', 'mode=0755'); f = Path('/mnt/a.toml'); f.touch(0o600); become({NOBODY})"
    assert ask("files.settings([f], 50000)", first, unshare=("--mount",)).status == "ok"
    found = ask("files.settings([f])", first, unshare=("--mount",))
    assert found.what == "/mnt/a.toml cannot be read: Permission denied."


def test_samples_that_are_not_there(tmp_path: Path):
    record = tmp_path / "input.json"
    given = files.place("samples", str(tmp_path / "none"), record)
    assert (given.status, given.do) == ("wrong", "Name another one: SAMPLES=...")
    # Of an earlier start: it may be for the UI alone that Airflow is started now.
    record.write_text(json.dumps({"samples": str(tmp_path / "none")}))
    earlier = files.place("samples", None, record)
    assert earlier.status == "warn"
    assert "named at an earlier start" in earlier.what
    assert files.place("samples", str(tmp_path), record).status == "ok"


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"verdicts": null}'])
def test_nothing_was_named(text: str, tmp_path: Path):
    record = tmp_path / "input.json"
    assert files.place("verdicts", None, record).what == "none named"
    record.write_text(text)
    assert files.place("verdicts", None, record).what == "none named"
    assert files.place("verdicts", "s3://bucket/verdicts", record).status == "ok"


def test_samples_that_containers_cannot_read(tmp_path: Path):
    record, samples = tmp_path / "input.json", tmp_path / "samples"
    samples.mkdir(mode=0o700)
    assert files.place("samples", str(samples), record).status == "ok"
    found = files.place("samples", str(samples), record, READER)
    assert (found.status, found.do) == ("wrong", f"Type this: chmod -R o+rX {samples}")
    samples.chmod(0o755)
    assert files.place("samples", str(samples), record, READER).status == "ok"


@needs_root
def test_verdicts_that_this_user_cannot_read():
    first = f"mount('/mnt', 'mode=0755'); f = Path('/mnt/v.csv'); f.touch(0o600); become({NOBODY})"
    check = "files.place('verdicts', '/mnt/v.csv', Path('/mnt/none'))"
    found = ask(check, first, unshare=("--mount",))
    assert (found.status, found.what) == ("wrong", "/mnt/v.csv cannot be read by nobody.")
