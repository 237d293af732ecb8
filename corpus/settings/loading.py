"""Reads the settings of files, the environment and a run, and says which of them is wrong."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from corpus.errors import BadSettingError

CONFIG_FILE = Path("/etc/corpus-airflow/corpus.toml")

# Settings that are no more, and what to write instead.
_REPLACED = {
    "verdicts.urls": "write a table [[verdicts.feeds]] for each place, with `place` and, as `reporter`, "
    "whom its rows may speak for"
}
_WHERE = re.compile(r"line [0-9]+, column [0-9]+|end of document")

S = TypeVar("S", bound=BaseSettings)


def config_files(file: Path | None = None) -> list[Path]:
    """The settings files that exist, in the order they are read: a later one wins."""
    path = file or Path(os.environ.get("CORPUS_CONFIG", CONFIG_FILE))
    if file and not file.is_file():
        raise BadSettingError("there is no such settings file.", file=str(file))
    if not path.is_file():
        return []
    folders = [path.parent / "conf.d"]
    # Where what is secret lies apart, as in a container that gets it by a mount of its own.
    if secrets := os.environ.get("CORPUS_CONFIG_SECRETS"):
        folders.append(Path(secrets))
    return [path, *(found for folder in folders for found in sorted(folder.glob("*.toml")))]


class _OwnPart(TomlConfigSettingsSource):
    """A settings file without the sections and settings that others read."""

    def __init__(self, cls: type[BaseSettings], file: Path, others: Collection[str]) -> None:
        super().__init__(cls, file)
        self._others = others

    def __call__(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().__call__().items() if name not in self._others
        }


def load(
    cls: type[S], overrides: dict[str, Any], files: list[Path], *, others: Collection[str]
) -> S:
    """Read the settings of a class from files; a later file wins over an earlier one.

    The environment wins over the files, and `overrides` win over all. What the files say of `others`,
    names at the top of a file, is not read. Raises `BadSettingError`.
    """
    for name in overrides:
        if name in others:
            raise BadSettingError(
                "this is not a setting of what is run here, so it cannot be overridden here.",
                field=name,
                hint="It is read from the settings file and the environment, where it is needed.",
            )

    class Loaded(cls):  # type: ignore[valid-type,misc]
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # A later file wins over an earlier one, so conf.d mends corpus.toml.
            toml = [_OwnPart(settings_cls, path, others) for path in reversed(files)]
            return (init_settings, EnvSettingsSource(settings_cls), *toml)

    try:
        loaded = Loaded(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        raise BadSettingError(
            f"there is no such setting{_meant(cls, field, others)}"
            if unknown
            else f"{first['msg']}.",
            field=field,
            hint="`corpus config` lists those of the corpus, `python -m operators.settings` those "
            "of workers.",
        ) from error
    except (OSError, ValueError) as error:
        raise BadSettingError(_problem(error), file=", ".join(map(str, files))) from error
    return loaded


def _problem(error: OSError | ValueError) -> str:
    """What is wrong with a settings file, without its bytes: it may be another file by mistake."""
    if isinstance(error, OSError):
        return f"cannot be read: {(error.strerror or 'no reason is given').lower()}."
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text."
    if isinstance(error, tomllib.TOMLDecodeError):
        where = _WHERE.search(str(error))
        return f"is not TOML: {where[0] if where else 'the end is missing'}."
    return "cannot be read as settings."


def _meant(cls: type[BaseModel], name: str, others: Collection[str]) -> str:
    """The rest of the sentence: what stands in its place, or a guess at what someone meant, if one is near."""
    if name in _REPLACED:
        return f" any more: {_REPLACED[name]}."
    names = [*cls.model_fields, *others]
    for section, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += [f"{section}.{inner}" for inner in field.annotation.model_fields]
    near = difflib.get_close_matches(name, names, n=1)
    return f". Did you mean {near[0]}?" if near else "."
