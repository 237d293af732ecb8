"""Reads JSON records of the store, and checks that each has the keys and types of its own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from corpus.errors import DamagedError

if TYPE_CHECKING:
    from corpus.store.object_store import Store

T = TypeVar("T")
# Longest name of a field in a message: names inside a record may be anything.
_LONGEST = 200


def read_record(store: Store, key: str, kind: TypeAdapter[T]) -> T:
    """Read the record at a key. Raises `NotFoundError`, and `DamagedError` as `checked` does."""
    return checked(store.read_json(key), kind, key)


def checked(value: object, kind: TypeAdapter[T], key: str) -> T:
    """Return a JSON value as the record that it is, unchanged: keys that the kind lacks are kept.

    Raises `DamagedError` if a field is missing or has the wrong type; it names `key` and `field`.
    """
    try:
        kind.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ascii(".".join(map(str, first["loc"])))[1:-1][:_LONGEST]
        where = f"field {field!r}: " if field else ""
        raise DamagedError(
            f"{key} is not the record that was written there: {where}{_problem(first['type'])}.",
            hint="Restore the file from a backup; `corpus verify` checks a whole snapshot.",
            key=key,
            field=field or None,
        ) from error
    return value  # type: ignore[return-value]


def _problem(kind: str) -> str:
    # Not pydantic's sentence, which may quote the record.
    return "is missing" if kind == "missing" else f"has the wrong type ({kind})"
