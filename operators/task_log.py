"""The output of what a task runs, as lines of its log: printable, and of bounded length and number."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

MAX_LINE = 8_192
TAIL_LINES = 50
_TAIL_BYTES = 64 * 1024
# Escape sequences and carriage returns out of a hostile file name could forge a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SAY_EVERY_S = 60.0


class Lines:
    """Cuts chunks of output into lines, these at `MAX_LINE` bytes, in bounded memory."""

    def __init__(self) -> None:
        self._line, self._cut = b"", 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Give the lines that end in this chunk."""
        *complete, last = chunk.split(b"\n")
        for piece in complete:
            self._append(piece)
            yield self._take()
        self._append(last)

    def rest(self) -> Iterator[str]:
        """Give the last line, if the output does not end with a line end."""
        if self._line or self._cut:
            yield self._take()

    def _append(self, piece: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._line += piece[:room]
        self._cut += max(0, len(piece) - room)

    def _take(self) -> str:
        text = printable(self._line)
        if self._cut:
            text += f" ... ({self._cut} more bytes)"
        self._line, self._cut = b"", 0
        return text


def printable(line: bytes) -> str:
    """A line as text in which nothing moves the cursor or ends the line."""
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", line.decode(errors="replace"))


def one_line(text: str) -> str:
    """Text that somebody else wrote as one printable line, cut at `MAX_LINE` bytes."""
    data = text.encode(errors="backslashreplace").replace(b"\n", b"\\n")
    lines = Lines()
    return "".join([*lines.feed(data), *lines.rest()])


class TaskLog:
    """Writes the first lines of an output, counts those after them, and writes the last of these.

    What prints without end would fill the disk of the task logs, and no one reads its middle.

    :param write: takes one line.
    :param max_lines: lines that are written as they come.
    :param max_bytes: bytes of output after which, too, lines are only counted.
    """

    def __init__(
        self, write: Callable[[str], object], *, max_lines: int, max_bytes: int = 16 * 2**20
    ) -> None:
        self.lines = 0
        self._write = write
        self._room_lines, self._room_bytes = max_lines, max_bytes
        self._streams: dict[int, Lines] = {}
        self._hidden = 0
        self._tail: bytes | None = None
        self._next_word = 0.0

    def feed(self, chunk: bytes, stream: int = 0) -> None:
        """Take output as it comes. Lines of different streams are kept apart, but for the tail."""
        if self._tail is not None:
            self._count(chunk)
            return
        lines = chunk.count(b"\n")
        if lines <= self._room_lines and len(chunk) <= self._room_bytes:
            self._show(chunk, stream, lines)
            return
        head = chunk[: self._room_bytes]
        parts = head.split(b"\n", self._room_lines)
        whole = len(parts) > self._room_lines
        end = len(head) - len(parts[-1]) if whole else head.rfind(b"\n") + 1
        self._show(chunk[:end], stream, chunk.count(b"\n", 0, end))
        self._tail = b""
        self._next_word = time.monotonic()
        self._count(chunk[end:])

    def end(self) -> None:
        """Write what is left: unended lines, or the tail and how much was left out before it."""
        for lines in self._streams.values():
            for line in lines.rest():
                # A line whose end was only counted has been counted.
                self.lines += self._tail is None
                self._write(line)
        if self._tail is None:
            return
        if self._tail and not self._tail.endswith(b"\n"):
            self.lines += 1
            self._hidden += 1
        last = self._tail.rstrip(b"\n").split(b"\n")[-TAIL_LINES:]
        left_out = self._hidden - len(last)
        self._write(f"... {left_out:,} lines are left out here; there were {self.lines:,} in all.")
        tail = Lines()
        for line in tail.feed(b"\n".join(last) + b"\n"):
            self._write(line)

    def _show(self, chunk: bytes, stream: int, lines: int) -> None:
        self.lines += lines
        self._room_lines -= lines
        self._room_bytes -= len(chunk)
        for line in self._streams.setdefault(stream, Lines()).feed(chunk):
            self._write(line)

    def _count(self, chunk: bytes) -> None:
        lines = chunk.count(b"\n")
        self.lines += lines
        self._hidden += lines
        self._tail = ((self._tail or b"") + chunk)[-_TAIL_BYTES:]
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + _SAY_EVERY_S
            self._write(f"... {self.lines:,} lines so far; the last {TAIL_LINES} will be shown.")
