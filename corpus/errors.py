"""Every error that the corpus raises on purpose, and the exit status each one ends a command with.

    CorpusError                 1   something that should not happen
    ├── BadInputError           2   what was handed in is wrong: fix it, a retry will not help
    │   └── BadSettingError     2   a setting or an option is wrong
    ├── NothingNewError         3   nothing to do: not a failure
    ├── BlockedError            4   a gate refused the update; nothing was published
    ├── ConflictError           5   another update got there first
    ├── NotFoundError           6   no such snapshot, update, blob or feature set
    ├── DamagedError            7   stored bytes are not what they were when they were written
    └── PassingFaultError      75   disk full, network down: a later try may succeed

Nothing else leaves the function of the corpus that was called. Inside one room an exception may also be a
signal to the room's own code, which catches it: DiedError, TimedOutError, LostError, BadAnswerError and
TooLargeError in sandbox, BombError in sources, _NotJsonError in rows, OutOfFileError, UnusualError and
SignatureError in features.ember_v3. One signal is shared by all rooms that read rows: BadValueError, raised
of a value, and caught where its row is known.

Each error keeps its fields, and builds its message from them, so that a program can read what a
person reads.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "BadInputError",
    "BadSettingError",
    "BlockedError",
    "ConflictError",
    "CorpusError",
    "DamagedError",
    "NotFoundError",
    "NothingNewError",
    "PassingFaultError",
]


# What moves a cursor, ends a line or turns the direction of text, and what no terminal can be given.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def one_line(text: str) -> str:
    """Text that may hold what somebody else wrote, as one printable line: for logs, terminals and pages."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


class CorpusError(Exception):
    """Base of all errors below; `message` says what is wrong, `hint` what to do about it, each in a line."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None, **fields: Any) -> None:
        self.message = one_line(message)
        self.hint = hint if hint is None else one_line(hint)
        self.fields = {name: value for name, value in fields.items() if value is not None}
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """The error as a JSON object: `type`, `message`, `hint` and the fields of its kind."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "fields": self.fields,
        }


class BadInputError(CorpusError):
    """Names the `file` and, if it applies, the `row` (1 is the first) and the `field`."""

    exit_status = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        row: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        place = ", ".join(
            part
            for part in (
                file,
                f"row {row}" if row is not None else None,
                f"field {field!r}" if field is not None else None,
            )
            if part
        )
        super().__init__(
            f"{place}: {problem}" if place else problem, hint=hint, file=file, row=row, field=field
        )
        self.problem = problem
        self.file = file
        self.row = row
        self.field = field


class BadSettingError(BadInputError):
    """A setting, an option or an environment variable has a value that cannot be used."""


class NothingNewError(CorpusError):
    """There is nothing to do, and that is all right."""

    exit_status = 3


class BlockedError(CorpusError):
    """A gate of `validate` refused the update."""

    exit_status = 4


class ConflictError(CorpusError):
    """Another update published, or is publishing, since this one began."""

    exit_status = 5


class NotFoundError(CorpusError):
    """A thing that was named is not in the corpus."""

    exit_status = 6


class DamagedError(CorpusError):
    """Stored bytes no longer match the digest recorded when they were written."""

    exit_status = 7


class PassingFaultError(CorpusError):
    """A fault of the surroundings; nothing was half-written, and a retry may succeed."""

    exit_status = 75
