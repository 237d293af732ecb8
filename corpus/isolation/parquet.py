"""Rows of Parquet files that hostile code may have written.

A file is decoded in a child process of the sandbox: one that is made to crash a reader, or to unpack
to more than there is memory, costs an error. What the child answers is checked against the table's
columns and the model of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from corpus.isolation.columns import unpacked
from corpus.isolation.untrusted_folder import refused
from corpus.sandbox import Sandbox
from corpus.store.schemas import TableSpec
from corpus.store.staging import Update

R = TypeVar("R", bound=BaseModel)

# Of the file, in its compressed form, and of what it may take to decode it.
MAX_BYTES = 1 << 30
_MEMORY_BYTES = 8 << 30
_TIMEOUT_S = 600.0


def sandbox() -> Sandbox:
    """Return the sandbox in which files are decoded."""
    return Sandbox(
        "corpus.isolation.columns:of",
        timeout_s=_TIMEOUT_S,
        memory_bytes=_MEMORY_BYTES,
        answer_bytes=_MEMORY_BYTES,
    )


class Decoder:
    """Decodes the parts that a sandbox has staged for `update`. Raises `BadInputError` for what is wrong."""

    def __init__(self, update: Update, box: Sandbox):
        self._update = update
        self._sandbox = box

    def columns(self, key: str, data: bytes, spec: TableSpec) -> dict[str, Any]:
        """Decode a part; return its columns by name, all of one length, without `update_id` and `sequence`.

        These two are checked. A column is a list, or an array of float32 [rows, width] for vectors.
        """
        (outcome,) = self._sandbox.map([(key, data)])
        if outcome.reason:
            # What its reader says may quote it.
            raise refused(key, f"cannot be decoded: {outcome.reason}.")
        try:
            number = outcome.value["rows"]
            found = [(str(name), str(kind)) for name, kind, _ in outcome.value["columns"]]
            values = {name: unpacked(column) for name, _, column in outcome.value["columns"]}
        except (TypeError, ValueError, KeyError) as error:
            raise refused(key, "cannot be decoded.") from error
        wanted = [(field.name, str(field.type)) for field in spec.schema]
        if found != wanted:
            name, what = _difference(dict(found), dict(wanted))
            raise refused(key, what, field=name)
        for name, column in values.items():
            if not isinstance(column, list | np.ndarray) or len(column) != number:
                raise refused(key, f"does not have {number} values.", field=name)
        for name, own in (("update_id", self._update.id), ("sequence", self._update.sequence)):
            if row := next((n for n, value in enumerate(values.pop(name), 1) if value != own), 0):
                raise refused(key, f"is not {own!r}.", row, name)
        return values

    def rows(self, key: str, data: bytes, spec: TableSpec, model: type[R]) -> list[R]:
        """Decode a part; return its rows, each checked by the model of its table's rows."""
        return [row for _, row in self.models(key, self.columns(key, data, spec), model)]

    def models(
        self, key: str, columns: Mapping[str, Sequence[Any]], model: type[R]
    ) -> Iterator[tuple[int, R]]:
        """Check each row; give its number (1 is the first) and its model."""
        for number, cells in enumerate(zip(*columns.values(), strict=True), 1):
            try:
                yield number, model.model_validate(dict(zip(columns, cells, strict=True)))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                field = str(first["loc"][0]) if first["loc"] else None
                raise refused(key, f"{first['msg']}.", number, field) from error


def _difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, str]:
    for name, kind in wanted.items():
        if found.get(name) != kind:
            return name, f"is {found[name]}, not {kind}." if name in found else "is missing."
    extra = next(iter(found.keys() - wanted.keys()), None)
    if extra:
        return extra, "does not belong here."
    return next(iter(wanted)), "the columns are not in their order."
