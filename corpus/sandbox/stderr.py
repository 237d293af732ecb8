"""What a process writes to standard error, kept for the report of its death."""

from __future__ import annotations

import contextlib
import os

_KEPT = 8_192
_READS = 32
_DETAIL = 1_000


class StderrPipe:
    """A pipe for another process's standard error: `theirs` is the end to give away, and then to close."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        # A full pipe drops what is written instead of stopping the writer; it is emptied between files.
        os.set_blocking(self._ours, False)
        os.set_blocking(self.theirs, False)

    def drain(self) -> str:
        """The last of what came since it was last asked for."""
        kept = b""
        with contextlib.suppress(BlockingIOError):
            # Not until it is empty: who writes on and on is not to keep us here.
            for _ in range(_READS):
                if not (chunk := os.read(self._ours, 65_536)):
                    break
                kept = (kept + chunk)[-_KEPT:]
        return kept.decode("utf-8", "replace")

    def give_away(self) -> None:
        """Close their end: whoever got it has it by now."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def close(self) -> None:
        self.give_away()
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1


def last_words(text: str) -> str:
    """The last line of a text, printable."""
    return printable(text.strip().rsplit("\n", 1)[-1])


def printable(text: str) -> str:
    """At most 1,000 characters, valid Unicode and without control characters."""
    clean = text[:_DETAIL].encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in clean)
