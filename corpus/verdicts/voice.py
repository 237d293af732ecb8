"""As whom the rows of a verdict file speak: where the file lies decides it, and not what the file says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from corpus.rows.bad_value import BadValueError
from corpus.settings.feeds import ANYONE, Feed
from corpus.verdicts.record import FORM


@dataclass(frozen=True)
class Voice:
    """The reporters that a file may speak for.

    Rows that name nobody speak as their format's own reporter (`manifest`, `malwarebazaar`), or as the first of
    `reporters` if that one is not among them. Without `reporters` only the format's own is allowed, `*` allows all.
    What is `typed`, into a form or a command line, speaks as `form`, whatever it says.
    """

    reporters: tuple[str, ...] = ()
    typed: bool = False

    @classmethod
    def of(cls, feed: Feed) -> Voice:
        return cls(tuple(feed.reporter))

    @cached_property
    def _allowed(self) -> set[str]:
        return {name.casefold() for name in self.reporters}

    def reporter(self, named: str | None, own: str) -> str:
        """Who speaks, if a row names this reporter. Raises `BadValueError` for one that is not allowed."""
        if self.typed:
            return FORM
        allowed = self._allowed or {own.casefold()}
        if named is None:
            named = own if {own.casefold(), ANYONE} & allowed else self.reporters[0]
        elif ANYONE not in allowed and named.casefold() not in allowed:
            raise BadValueError(
                "this file may not speak for that reporter: `reporter` of its feed in "
                "verdicts.feeds says for whom it may.",
                "reporter_not_allowed",
                "reporter",
            )
        return named

    def kind(self, own: str) -> str:
        """The kind of source, for the precedence of labels."""
        return FORM if self.typed else own


ANYBODY = Voice((ANYONE,))
TYPED = Voice(typed=True)
