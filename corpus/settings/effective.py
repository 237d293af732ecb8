"""Effective values of settings, and where each came from."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_settings import BaseSettings


@dataclass(frozen=True)
class Effective:
    """One setting: its dotted name, its value fit for a screen, and where it came from."""

    name: str
    value: Any
    origin: str


def effective(
    settings: BaseSettings, files: Sequence[Path], overrides: Mapping[str, Any] | None = None
) -> list[Effective]:
    """List every setting; secrets are masked.

    :param files: what the settings were read from; a later one wins.
    :param overrides: what they were overridden with, nested as the sections are.
    """
    tables = [(file, tomllib.loads(file.read_text())) for file in files]
    prefix = settings.model_config["env_prefix"]
    return [
        Effective(name, value, _origin(name.split("."), prefix, tables, overrides or {}))
        for name, value in _leaves(settings.model_dump(mode="json"), settings)
    ]


def _leaves(
    values: dict[str, Any], model: BaseModel, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            yield from _leaves(value, inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _without_credentials(value)


def _without_credentials(value: Any) -> Any:
    """URLs may carry user:password@; it is not for the screen."""
    if isinstance(value, str):
        return re.sub(r"(?<=://)[^/@]+@", "***@", value)
    if isinstance(value, dict):
        return {name: _without_credentials(item) for name, item in value.items()}
    return [_without_credentials(item) for item in value] if isinstance(value, list) else value


def _origin(
    path: list[str],
    prefix: str,
    tables: Sequence[tuple[Path, dict[str, Any]]],
    overrides: Mapping[str, Any],
) -> str:
    if _has(overrides, path):
        return "--root" if path == ["store", "root"] else "--set"
    variable = prefix + "__".join(path).upper()
    present = {key.upper() for key in os.environ}
    if variable in present or variable.rpartition("__")[0] in present:
        return f"environment {variable}"
    return next((str(file) for file, table in reversed(tables) if _has(table, path)), "default")


def _has(values: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True
