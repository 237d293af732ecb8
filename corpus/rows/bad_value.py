"""What is wrong with a value of a row; never says what the value is."""

from __future__ import annotations


class BadValueError(ValueError):
    """A value that cannot be taken; `reason` is the word that it is counted under, `field` where it stands."""

    def __init__(self, problem: str, reason: str = "bad_value", field: str | None = None) -> None:
        super().__init__(problem)
        self.reason = reason
        self.field = field
