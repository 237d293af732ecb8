"""Settings of the host command: host.toml, a table a noun. debian/host.toml says what each is for."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from deploy.common.errors import BadInputError

FILE = Path("/etc/corpus-airflow/host.toml")
# Lower bounds of numbers; any other number may be 0.
_LEAST = {"releases.kept": 1}
# Upper bounds: a hundred years of days, since a date so long ago must be one; a day of seconds; or what is far
# beyond any use.
_MOST = {"days": 36_500, "unasked_days": 36_500, "check_s": 86_400}
_FAR = 1_000_000_000
_TOML_NAMES = {
    Path: "a path",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


@dataclass(frozen=True)
class Releases:
    folder: Path = Path("/var/lib/corpus-airflow/releases")
    payload: Path = Path("/usr/share/corpus-airflow/payload")
    kept: int = 3
    unasked_days: int = 30


@dataclass(frozen=True)
class State:
    folder: Path = Path("/var/lib/corpus-airflow/state")


@dataclass(frozen=True)
class Logs:
    folder: Path = Path("/var/lib/corpus-airflow/logs")
    days: int = 90
    max_gb: float = 0.0


@dataclass(frozen=True)
class Scratch:
    folder: Path = Path("/var/lib/corpus-airflow/scratch")


@dataclass(frozen=True)
class Corpus:
    folder: Path = Path("/var/lib/corpus-airflow/corpus")


@dataclass(frozen=True)
class Images:
    airflow: str = "corpus-airflow:latest"
    check_s: int = 300


@dataclass(frozen=True)
class Api:
    url: str = ""
    user: str = "reaper"
    password_file: Path = Path("/etc/corpus-airflow-users/passwords/reaper")


@dataclass(frozen=True)
class Compose:
    file: str = "/etc/corpus-airflow/compose.yaml"
    env_file: str = "/etc/corpus-airflow/cluster.env"
    project: str = "corpus"

    @property
    def files(self) -> list[Path]:
        return [Path(file) for file in self.file.split(":") if file]


@dataclass(frozen=True)
class Database:
    days: int = 0


@dataclass(frozen=True)
class Reaper:
    enabled: bool = True


@dataclass(frozen=True)
class Settings:
    """All settings of a host; each attribute is a table of host.toml."""

    releases: Releases = field(default_factory=Releases)
    state: State = field(default_factory=State)
    logs: Logs = field(default_factory=Logs)
    scratch: Scratch = field(default_factory=Scratch)
    corpus: Corpus = field(default_factory=Corpus)
    images: Images = field(default_factory=Images)
    api: Api = field(default_factory=Api)
    compose: Compose = field(default_factory=Compose)
    database: Database = field(default_factory=Database)
    reaper: Reaper = field(default_factory=Reaper)

    @classmethod
    def load(cls, file: Path | None = None) -> Settings:
        """Read a file; without one that of the package, where it may be missing. Raises `BadInputError`."""
        try:
            text = (file or FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            if file is None:
                return cls()
            raise BadInputError(f"There is no file of settings {file}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{file or FILE} cannot be read: {error}") from None
        try:
            return cls.of(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise BadInputError(f"{file or FILE} is no TOML: {error}") from None
        except BadInputError as error:
            raise BadInputError(f"{file or FILE}: {error}") from None

    @classmethod
    def of(cls, tables: dict[str, Any]) -> Settings:
        """Settings out of tables. Raises `BadInputError`."""
        types = get_type_hints(cls)
        _refuse_unknown(tables, types, "")
        return cls(**{name: _table(types[name], name, table) for name, table in tables.items()})


def _table(kind: Any, name: str, table: Any) -> Any:
    if not isinstance(table, dict):
        raise BadInputError(f"{name} is to be a table: write [{name}] above its settings.")
    types = get_type_hints(kind)
    _refuse_unknown(table, [one.name for one in fields(kind)], f"{name}.")
    return kind(**{key: _value(types[key], f"{name}.{key}", value) for key, value in table.items()})


def _value(kind: type, name: str, value: Any) -> Any:
    accepted: Any = {Path: str, float: (int, float)}.get(kind, kind)
    # In Python a bool is an int, and in TOML it is not.
    if not isinstance(value, accepted) or isinstance(value, bool) != (kind is bool):
        raise BadInputError(f"{name} is to be {_TOML_NAMES[kind]}, and is {value!r}.")
    if kind is Path and not Path(value).is_absolute():
        raise BadInputError(f"{name} is to be an absolute path, and is {value!r}.")
    if kind in (int, float):
        least, most = _LEAST.get(name, 0), _MOST.get(name.partition(".")[2], _FAR)
        if not least <= value <= most:
            raise BadInputError(f"{name} is to be {least} to {most}, and is {value!r}.")
    return kind(value)


def _refuse_unknown(found: Iterable[str], known: Iterable[str], prefix: str) -> None:
    names = list(known)
    for name in found:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = (
                f"did you mean {prefix}{close[0]}?" if close else f"there are {', '.join(names)}."
            )
            raise BadInputError(f"There is no setting {prefix}{name}; {hint}")
