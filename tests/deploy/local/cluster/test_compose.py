"""What is taken of Docker's own configuration, which gives its proxies to every container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.cluster import compose
from deploy.local.cluster.compose import proxy_exceptions

pytestmark = pytest.mark.fast


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compose, "_docker_config", lambda: str(tmp_path))
    return tmp_path


def test_what_passes_by_its_proxies_still_does(folder: Path):
    proxies = {
        "default": {"httpProxy": "http://proxy:3128", "noProxy": "s3.example, .corp"},
        "unix:///run/docker.sock": {"noProxy": ".corp,10.0.0.0/8,fd00::/8,[::1],fd00::1"},
        "tcp://other": {"httpProxy": "http://proxy:3128"},
    }
    (folder / "config.json").write_text(json.dumps({"proxies": proxies, "auths": {}}))
    assert proxy_exceptions() == "s3.example,.corp,10.0.0.0/8,fd00::1"


@pytest.mark.parametrize(
    "content", [None, "{}", '{"proxies": {}}', "{", "[]", '{"proxies": {"default": null}}']
)
def test_without_any_there_is_nothing_to_take(folder: Path, content: str | None):
    if content is not None:
        (folder / "config.json").write_text(content)
    assert proxy_exceptions() == ""
