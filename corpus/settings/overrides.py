"""Overrides of a run: `section.key=value`, as the command line and the trigger form hand them in."""

from __future__ import annotations

import json
from typing import Any

from corpus.errors import BadSettingError


def parse_override(text: str) -> tuple[list[str], Any]:
    """Parse `section.key=value`: the path, and the value, which is JSON if it parses as such, else text.

    Raises `BadSettingError` for text of another form.
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise BadSettingError(f"{text!r} is not of the form section.key=value.", field="--set")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        parsed = value
    return name.strip().split("."), parsed


def nest(target: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value in nested dicts, made as they are needed. Raises `BadSettingError` for a value on the way."""
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise BadSettingError("is both a value and a section.", field=".".join(path))
    target[path[-1]] = value
