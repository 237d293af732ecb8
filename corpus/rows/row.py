"""A row of a file, and a row that cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corpus.errors import BadInputError
from corpus.rows.bad_value import BadValueError

# Rows that are named of each reason; the others are counted.
NAMED = 10


class Row(NamedTuple):
    """One row; `number` counts from 1: lines of JSONL, entries of a list, rows of a table without its header."""

    number: int
    cells: Mapping[str, Any]


class BadRow(NamedTuple):
    """A row that is left out: what is wrong with it, the word that it is counted under, and the field if it is one."""

    number: int
    problem: str
    reason: str = "bad_value"
    field: str | None = None

    @classmethod
    def of(cls, number: int, error: BadValueError, field: str | None = None) -> BadRow:
        """The row in which a value, of this field, is wrong."""
        return cls(number, str(error), error.reason, error.field or field)

    def error(self, file: str) -> BadInputError:
        """What refuses the whole file because of this row."""
        return BadInputError(self.problem, file=file, row=self.number, field=self.field)

    def __str__(self) -> str:
        field = f", field {self.field!r}" if self.field is not None else ""
        return f"row {self.number}{field}: {self.problem}"


def numbers(rows: Sequence[BadRow], count: int) -> str:
    """Which rows of a file, by the first of all `count`: `rows 3, 5 and 8 more`."""
    named = rows[:NAMED]
    listed = ", ".join(str(row.number) for row in named)
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"row{'s' if count > 1 else ''} {listed}{more}"
