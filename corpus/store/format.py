"""Which version of the store's format a corpus has: ROOT/format.json, written when the corpus begins.

    {"format": 2}

The format is the set of keys, table columns and fields of the manifest. It is raised when a program of
the previous format would misread a corpus of the next one. Format 1 was never released: it had no
format.json.
"""

from __future__ import annotations

import weakref
from typing import Any

from corpus.errors import BadInputError, DamagedError, NotFoundError
from corpus.store.cleaning import CLEANING
from corpus.store.object_store import Store, to_json

FORMAT = 2
KEY = "format.json"

# The stores whose format was read and is right; it never changes.
_checked: weakref.WeakSet[Store] = weakref.WeakSet()


def check(store: Store) -> None:
    """Refuse a corpus of another format; one that has not begun yet passes. Nothing is written.

    Raises `BadInputError` for another format, and `DamagedError` if format.json names none.
    """
    if store in _checked:
        return
    found = _read(store)
    if found is None:
        if not _has_content(store):
            return
        # Whoever begins a corpus writes its format first, so by now it is there to be seen.
        found = _read(store)
    require(found, store.url)
    _checked.add(store)


def begin(store: Store) -> None:
    """Write the format of a corpus that begins with this update; raise as `check` does for others."""
    check(store)
    if store not in _checked:
        # Of several writers at once one creates it, and all read it back.
        store.create_bytes(KEY, to_json({"format": FORMAT}))
        check(store)


def require(found: Any, name: str) -> None:
    """Raise `BadInputError` unless `found` is the format of this version; `name` is what has it.

    `found` is None or 1 for what was written before the first release.
    """
    if found == FORMAT:
        return
    if found is None or (isinstance(found, int) and found < FORMAT):
        raise BadInputError(
            "was written by an earlier, unreleased version of corpus-airflow (format 1); this version "
            f"reads format {FORMAT}.",
            file=name,
            hint="Start a new corpus folder.",
        )
    raise BadInputError(
        f"was written by a newer version of corpus-airflow (format {found}); this version reads "
        f"format {FORMAT}.",
        file=name,
        hint="Upgrade corpus-airflow.",
    )


def _read(store: Store) -> int | None:
    try:
        record = store.read_json(KEY)
    except NotFoundError:
        return None
    found = record.get("format") if isinstance(record, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise DamagedError(
            f"{store.url}/{KEY} names no format.",
            hint=f'Restore it from a backup; a corpus of this version has {{"format": {FORMAT}}}.',
            key=KEY,
        )
    return found


def _has_content(store: Store) -> bool:
    """Whether any update has begun or was published; the sign of a `corpus clean` is neither."""
    if store.exists("snapshots/latest.json"):
        return True
    return any(key != CLEANING for name in ("snapshots", "staging") for key in store.list(name))
