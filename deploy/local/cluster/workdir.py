"""Where a cluster keeps its state: the folders below its work folder, and the files of its settings.

<work>/demo/            samples and verdicts of the demo, shared with `make run`
<work>/cluster/
    compose.env         what `up` chose: written anew each time
    site.env            what a person chose: never written again; wins over compose.env
    input.json          samples and verdicts that a person gave, and what corpus.toml was made of them
    secrets/            one file a secret
    settings/           corpus.toml and conf.d/, as /etc/corpus-airflow is on a host
    code/               releases of the bundle, and the link `current`
    logs/               task logs
    scratch/            folders that tasks share with their containers
    corpus/             the corpus
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.common import atomic
from deploy.common.env_file import read_env
from deploy.common.errors import ClusterError

REPO = Path(__file__).resolve().parents[3]
# The user of all images.
UID = 50000

_SITE = """\
# Settings of your own: any variable of docker/compose.yaml, as NAME=value; docker/cluster.env.example lists them.
# `make cluster-up` takes them up, and starts again what they change.
"""


@dataclass(frozen=True)
class Place:
    """The files of the cluster in one work folder."""

    work: Path

    @property
    def folder(self) -> Path:
        return self.work / "cluster"

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def env_files(self) -> list[Path]:
        return [self / "compose.env", self / "site.env"]

    @property
    def corpus(self) -> Path:
        return self / "corpus"

    @property
    def exists(self) -> bool:
        return (self / "compose.env").is_file()

    def chosen(self) -> dict[str, str]:
        """The variables that `up` chose; empty before the first."""
        return read_env(self.env_files[0])

    def own(self) -> dict[str, str]:
        """Those that a person chose."""
        return read_env(self.env_files[1])

    def settings(self) -> dict[str, str]:
        """All, as compose gets them."""
        return self.chosen() | self.own()

    def write_settings(self, variables: dict[str, str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        site = self / "site.env"
        if not site.exists():
            site.write_text(_SITE)
        lines = ["# Written by `make cluster-up`; put your own into site.env."]
        for name, value in sorted(variables.items()):
            if "'" in value or "\n" in value:
                raise ClusterError(f"{name} cannot hold {value!r}: neither quotes nor line ends.")
            lines.append(f"{name}='{value}'")
        atomic.write_if_other(self / "compose.env", "\n".join(lines) + "\n")
