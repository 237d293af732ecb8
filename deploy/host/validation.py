"""Whether a release can be used: its DAGs load in the Airflow of this host, or at least its files compile."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from deploy.common.errors import DamagedError, HostError, UnavailableError
from deploy.common.shell import Done, end_of
from deploy.host import engine
from deploy.host.manifest import PACKAGES
from deploy.host.releases import INSIDE
from deploy.host.settings import Images

_TOLD = 5
# By the contract of `docker run`: its own failure, and a command that cannot be run or is not in the image.
_NOT_STARTED = (125, 126, 127)
# Nothing but this host's disk, read-only, is within reach of code that nobody has tried yet.
_HARDENED = [
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--user=50000:50000",
    "--pids-limit=256",
    "--memory=2g",
    "--tmpfs=/tmp:size=256m,mode=1777",
    "--tmpfs=/var/lib/airflow:size=64m,mode=0755,uid=50000,gid=50000",
    "--log-driver=none",
]


@dataclass
class Validation:
    """A check of a release before it gets its name; `told` is what was done, once it was."""

    images: Images
    told: str = ""

    def __call__(self, copy: Path) -> str:
        """What was done. Raises `DamagedError` if the release is unfit, `DeployError` if that is not known."""
        why = self._without_image()
        if why:
            self.told = f"{compiled(copy)} files compile, DAGs not loaded: {why}"
        else:
            count = loaded(copy, self.images.airflow, self.images.check_s)
            self.told = f"{count} DAGs load in {self.images.airflow}"
        return self.told

    def _without_image(self) -> str:
        if not self.images.airflow:
            return "images.airflow is empty"
        if not engine.answers():
            return "no Docker engine answers"
        if not engine.has_image(self.images.airflow):
            return f"the image {self.images.airflow} is not here"
        return ""


def loaded(copy: Path, image: str, seconds: float) -> int:
    """How many DAGs a container of the image imports and serializes. Raises `DamagedError`, `DeployError`."""
    # Under the path that tracebacks name.
    inside = f"{INSIDE}/new"
    name = f"corpus-airflow-check-{os.getpid()}"
    environment = {
        "PYTHONPATH": inside,
        "AIRFLOW_HOME": "/var/lib/airflow",
        "AIRFLOW__CORE__PLUGINS_FOLDER": f"{inside}/plugins",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A host that is busy is no reason to refuse a release.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": str(seconds),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    try:
        done = engine.ask(
            *["run", "--rm", "--init", "--name", name, *_HARDENED],
            *[f"--env={key}={value}" for key, value in environment.items()],
            f"--mount=type=bind,source={copy},target={inside},readonly",
            *["--entrypoint", "python", image, "-m", "operators.releases.check", f"{inside}/dags"],
            seconds=seconds,
        )
    except UnavailableError:
        engine.ask("rm", "--force", name)
        raise HostError(
            f"The DAGs did not load within {seconds:.0f} s. Where the host is only slow, raise images.check_s."
        ) from None
    return _dags(done, image)


def _dags(done: Done, image: str) -> int:
    said = end_of(done.stderr or done.stdout)
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        dags, errors = list(found["dags"]), dict(found["errors"])
    except (IndexError, ValueError, KeyError, TypeError):
        if done.returncode in _NOT_STARTED:
            raise HostError(
                f"A container of {image} could not be started: {said}\n"
                'With images.airflow = "" in host.toml files are compiled, and DAGs not loaded.'
            ) from None
        raise DamagedError(
            f"The check of the DAGs ended in {image} with status {done.returncode}:\n{said}"
        ) from None
    if errors:
        _refuse(
            f"DAGs do not load in {image}",
            [f"{file}: {end_of(text, 1)}" for file, text in sorted(errors.items())],
        )
    if not dags:
        raise DamagedError(f"The release has no DAG that {image} would see.")
    return len(dags)


def compiled(copy: Path) -> int:
    """How many files this host's Python compiles, writing nothing. Raises `DamagedError`."""
    if not any(path.name != "__init__.py" for path in (copy / "dags").glob("*.py")):
        raise DamagedError(f"{copy / 'dags'} holds no DAG file.")
    files = [path for package in PACKAGES for path in sorted((copy / package).rglob("*.py"))]
    wrong = []
    for path in files:
        try:
            compile(path.read_bytes(), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 0
            wrong.append(f"{path.relative_to(copy)}:{line}: {getattr(error, 'msg', error)}")
    if wrong:
        _refuse("Files do not compile", wrong)
    return len(files)


def _refuse(what: str, lines: list[str]) -> None:
    more = f"\n  and {len(lines) - _TOLD} more" if len(lines) > _TOLD else ""
    raise DamagedError(f"{what}:" + "".join(f"\n  {line}" for line in lines[:_TOLD]) + more)
