"""`corpus config`: every setting, its effective value, and where that came from."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from corpus.cli.session import Session
from corpus.errors import BadSettingError
from corpus.settings import Settings, config_files


@click.command(short_help="Show every setting, its value, and where that came from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("names", nargs=-1, metavar="[SECTION[.KEY]]...")
@click.pass_obj
def config(session: Session, as_json: bool, names: tuple[str, ...]) -> None:
    """Show every setting, its effective value, and where that came from; secrets are masked.

    A value comes from --set (a run's form), else the environment (CORPUS_SECTION__KEY), else the
    settings files, else the default.
    """
    rows = [
        {"name": name, "value": value, "origin": origin_of(name, session)}
        for name, value in leaves(session.settings.model_dump(mode="json"), session.settings)
        if not names or any(name == n or name.startswith(n + ".") for n in names)
    ]
    for name in names:
        if not any(row["name"] == name or row["name"].startswith(name + ".") for row in rows):
            raise BadSettingError(
                "there is no such setting.", field=name, hint="`corpus config` lists them all."
            )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {json.dumps(row['value'])}  ({row['origin']})")


def leaves(values: dict[str, Any], model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting's dotted name and printable value."""
    for name, value in values.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            yield from leaves(value, inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", without_credentials(value)


def without_credentials(value: Any) -> Any:
    """URLs may carry user:password@; it is not for the screen."""
    if isinstance(value, str):
        return re.sub(r"(?<=://)[^/@]+@", "***@", value)
    return [without_credentials(item) for item in value] if isinstance(value, list) else value


def origin_of(name: str, session: Session) -> str:
    path = name.split(".")
    if _has(session.overrides, path):
        return "--root" if name == "store.root" else "--set"
    variable = Settings.model_config["env_prefix"] + "__".join(path).upper()
    present = {key.upper() for key in os.environ}
    if variable in present or variable.rpartition("__")[0] in present:
        return f"environment {variable}"
    for file in reversed(config_files(session.config)):
        if _has(tomllib.loads(Path(file).read_text()), path):
            return str(file)
    return "default"


def _has(values: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
