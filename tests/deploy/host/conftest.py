"""A host in a folder: a payload, releases and states of its own, and the command that works on them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.host.command import main
from deploy.host.manifest import PACKAGES, Manifest
from deploy.host.releases import Releases

DAG = "from airflow.sdk import dag\n"


@dataclass
class Host:
    """The command's settings name nothing outside `folder`, and no engine."""

    folder: Path
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in ("releases", "state", "logs", "scratch", "corpus"):
            self.tables[table] = {"folder": str(self.folder / table)}
        self.tables["releases"]["payload"] = str(self.folder / "payload")
        self.tables["images"] = {"airflow": ""}
        self.tables["compose"] = {
            "file": str(self.folder / "compose.yaml"),
            "env_file": "",
            "project": "corpus-test-no-such-project",
        }

    @property
    def releases(self) -> Releases:
        return Releases(self.folder / "releases")

    def set(self, table: str, **values: Any) -> None:
        self.tables.setdefault(table, {}).update(values)

    def payload(self, version: str, dag: str = DAG) -> Path:
        """What the package would have laid down; its files say its version."""
        folder = self.folder / "payload"
        for package in PACKAGES:
            (folder / package).mkdir(parents=True, exist_ok=True)
            (folder / package / "__init__.py").write_text(f"VERSION = {version!r}\n")
        (folder / "dags" / "update.py").write_text(dag)
        Manifest.of(folder, version, "abc").write(folder)
        return folder

    def install(self, *versions: str) -> None:
        for version in versions:
            self.payload(version)
            assert self("install") == 0

    def __call__(self, *words: str) -> int:
        """Run the command; its exit status."""
        lines = []
        for table, values in self.tables.items():
            # JSON's strings and numbers are TOML's too.
            lines += [
                f"[{table}]",
                *(f"{key} = {json.dumps(value)}" for key, value in values.items()),
            ]
        config = self.folder / "host.toml"
        config.write_text("\n".join(lines))
        return main(["--config", str(config), *words])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PATH leads to no docker."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
