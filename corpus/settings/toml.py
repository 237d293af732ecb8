"""Settings as the text of a settings file: how those of one process reach another, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr

from corpus.errors import BadSettingError
from corpus.settings import Settings

# Where things lie. A URL may bear a user's password, and a service in a workspace has no use for it.
_ADDRESSES = {"store.root", "sources.urls", "verdicts.feeds", "places"}


def to_toml(settings: Settings, *, archive_passwords: bool = False, addresses: bool = True) -> str:
    """TOML that `Settings.load` reads as these settings, apart from what is secret.

    Secrets are left out, `store.options` above all: they belong into files of `conf.d`. Of them only
    the passwords of archives are written where they are asked for, which a sandbox needs that opens
    archives. Without `addresses` it is also left out where the corpus, its sources and its verdicts
    lie. Raises `BadSettingError` for what TOML cannot hold.
    """
    written = {"sources.archive_passwords"} if archive_passwords else set()
    left_out = set() if addresses else _ADDRESSES
    return "\n".join(_section(settings, "", written, left_out)) + "\n"


def _section(model: BaseModel, name: str, secrets: set[str], left_out: set[str]) -> Iterator[str]:
    inner = []
    for key, value in model:
        field = f"{name}.{key}" if name else key
        if field in left_out:
            continue
        if isinstance(value, BaseModel):
            inner.append((field, value))
        elif _secret(value) and field not in secrets:
            continue
        # TOML has no null; these settings are None by default.
        elif value is not None:
            yield f"{key} = {toml_value(value, field)}"
    for field, value in inner:
        yield f"\n[{field}]"
        yield from _section(value, field, secrets, left_out)


def _secret(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        items = value.values() if isinstance(value, dict) else value
        return any(map(_secret, items))
    return isinstance(value, SecretStr)


def toml_value(value: Any, field: str) -> str:
    """Return a value as TOML has it; `field` is named by the `BadSettingError` for what TOML cannot hold."""
    if isinstance(value, BaseModel):
        return toml_value(value.model_dump(exclude_none=True), field)
    if isinstance(value, SecretStr):
        return toml_value(value.get_secret_value(), field)
    if isinstance(value, str | PurePath):
        return _text(str(value), field)
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item, field) for item in value)}]"
    if isinstance(value, dict):
        pairs = (f"{_text(key, field)} = {toml_value(item, field)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    raise BadSettingError(
        f"{type(value).__name__} cannot be written to a settings file.", field=field
    )


def _text(value: str, field: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadSettingError(f"{value!r} is not Unicode text.", field=field) from error
    # JSON's escapes are TOML's, but for the one control character that JSON lets pass.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
