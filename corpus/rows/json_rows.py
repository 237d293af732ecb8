"""Records of JSON lines, of one JSON document or of one long list: a record at a time, each within its budget."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from corpus.errors import BadInputError
from corpus.rows.bad_value import BadValueError
from corpus.rows.budget import Budget
from corpus.rows.row import BadRow

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16
_SPACE = " \t\n\r"
# The longest word of JSON, as Python reads it: -Infinity.
_WORD = 9
_DEEP = "is not JSON that can be read: it is nested too deep."
_LONG = "is not JSON that can be read: a number has too many digits."


class Record(NamedTuple):
    """Any JSON value, with its number from 1."""

    number: int
    value: Any


def records(stream: io.BufferedReader, file: str, budget: Budget) -> Iterator[Record | BadRow]:
    """The records of a file. Raises `BadInputError` if it is neither JSON lines nor a JSON document.

    In JSON lines, and in a list, a record that is no JSON object of its own (a key twice, nested too deep) is a
    `BadRow`, and so is a broken line.
    """
    head = stream.peek(len(_BOM))
    if head.startswith(_BOM):
        stream.read(len(_BOM))
    number = 1
    while (head := stream.peek(1)[:1]).isspace():
        number += stream.read(1) == b"\n"
    if not head:
        return
    if head == b"[":
        # It may be the one line of a file of any length.
        yield from _entries(_Text(stream, b"", file, budget), file, budget)
        return
    first = line_of(stream, file, budget, number)
    try:
        record: Record | BadRow = Record(number, parse(first))
    except _NotJsonError as error:
        if error.cut_off:
            # One object over several lines.
            yield from _document(_Text(stream, first, file, budget), file, number)
            return
        record = BadRow.of(number, error)
    except BadValueError as error:
        record = BadRow.of(number, error)
    yield record
    yield from _lines(stream, file, budget, number)


def line_of(stream: io.BufferedReader, file: str, budget: Budget, number: int) -> bytes:
    """The next line, b"" at the end. Raises `BadInputError` if it is longer than a record may be."""
    line = stream.readline(budget.max_record_bytes + 1)
    if len(line) > budget.max_record_bytes:
        raise BadInputError(
            f"is longer than {budget.max_record_bytes} bytes.", file=file, row=number
        )
    return line


def _lines(
    stream: io.BufferedReader, file: str, budget: Budget, number: int
) -> Iterator[Record | BadRow]:
    while line := line_of(stream, file, budget, number + 1):
        number += 1
        budget.count_rows(number, file)
        if line.strip():
            try:
                yield Record(number, parse(line))
            except BadValueError as error:
                yield BadRow.of(number, error)


class _NotJsonError(BadValueError):
    """Broken JSON: in which line of the text, and whether the text only ends too soon."""

    def __init__(self, problem: str, line: int = 1, cut_off: bool = False) -> None:
        super().__init__(problem, "not_json")
        self.line = line
        self.cut_off = cut_off


def parse(text: bytes | str) -> Any:
    """A JSON value. Raises `BadValueError` for broken JSON, and for an object that has a key twice."""
    try:
        return _decoder.decode(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError:
        raise _NotJsonError("is not UTF-8.") from None
    except json.JSONDecodeError as error:
        # The messages of the parser are fixed texts.
        problem = f"is not JSON: {error.msg}, column {error.colno}."
        raise _NotJsonError(problem, error.lineno, _cut_off(error)) from None
    except RecursionError:
        raise _NotJsonError(_DEEP) from None
    except BadValueError:
        raise
    except ValueError:
        raise _NotJsonError(_LONG) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadValueError("has a key twice in one JSON object.", "duplicate_key")
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_object)
# Finds the end of a value of which the other one takes offence.
_lenient = json.JSONDecoder(parse_int=len)


class _Text:
    """A growing window on the rest of a file, as text."""

    def __init__(self, stream: io.BufferedReader, start: bytes, file: str, budget: Budget) -> None:
        self._stream, self._file, self._budget = stream, file, budget
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.ended = False
        self.text = ""
        if start:
            self._add(start)

    def _add(self, data: bytes) -> None:
        try:
            self.text += self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            raise BadInputError("is not UTF-8.", file=self._file) from None
        self.ended = self.ended or not data

    def grow(self) -> bool:
        """Twice the text, at least a chunk more; False at the end of the file."""
        if self.ended:
            return False
        if len(self.text) > self._budget.max_record_bytes:
            raise BadInputError(
                f"has a JSON value of more than {self._budget.max_record_bytes} bytes.",
                file=self._file,
                hint="JSON lines, one record a line, are read a record at a time.",
            )
        wanted = len(self.text) + max(_CHUNK, len(self.text))
        while len(self.text) < wanted and not self.ended:
            self._add(self._stream.read(_CHUNK))
        return True

    def skip(self, at: int, also: str = "") -> int:
        """Where the next character stands that is not white space (nor one of `also`); -1 at the end."""
        while True:
            while at < len(self.text) and self.text[at] in _SPACE + also:
                at += 1
            if at < len(self.text):
                return at
            if not self.grow():
                return -1


def _entries(text: _Text, file: str, budget: Budget) -> Iterator[Record | BadRow]:
    """The entries of a JSON list, which is never in memory as a whole."""
    at, number = text.skip(0) + 1, 0
    while True:
        at = text.skip(at)
        if at < 0:
            raise BadInputError("is a JSON list that is cut off.", file=file, row=number + 1)
        if text.text[at] == "]":
            if text.skip(at + 1) >= 0:
                raise BadInputError("has more after the end of its JSON list.", file=file)
            return
        if number:
            if text.text[at] != ",":
                raise BadInputError("is not JSON: a comma is missing.", file=file, row=number + 1)
            at = text.skip(at + 1)
            if at < 0:
                continue
        number += 1
        budget.count_rows(number, file)
        at, record = _entry(text, at, file, number)
        yield record
        # What was read is let go of, not at each entry, so that little is copied.
        if at > len(text.text) // 2:
            text.text, at = text.text[at:], 0


def _entry(text: _Text, at: int, file: str, number: int) -> tuple[int, Record | BadRow]:
    record: Record | BadRow
    while True:
        try:
            try:
                value, end = _decoder.raw_decode(text.text, at)
                record = Record(number, value)
            except json.JSONDecodeError:
                raise
            except ValueError as error:
                _, end = _lenient.raw_decode(text.text, at)
                bad = error if isinstance(error, BadValueError) else _NotJsonError(_LONG)
                record = BadRow.of(number, bad)
        except json.JSONDecodeError as error:
            if not _cut_off(error) or not text.grow():
                raise BadInputError(f"is not JSON: {error.msg}.", file=file, row=number) from None
            continue
        except RecursionError:
            raise BadInputError(_DEEP, file=file, row=number) from None
        # A number at the end of the window may go on.
        if end < len(text.text) or not text.grow():
            return end, record


def _cut_off(error: json.JSONDecodeError) -> bool:
    """Whether the error may be that the text ends here: within a string, or in its last word."""
    return error.msg.startswith("Unterminated") or error.pos >= len(error.doc.rstrip()) - _WORD


def _document(text: _Text, file: str, number: int) -> Iterator[Record | BadRow]:
    while text.grow():
        pass
    try:
        value = parse(text.text)
    except _NotJsonError as error:
        found = _as_lines(text.text, number)
        if not any(isinstance(each, Record) for each in found):
            raise BadInputError(str(error), file=file, row=number + error.line - 1) from None
        yield from found
    except BadValueError as error:
        yield BadRow.of(number, error)
    else:
        yield Record(number, value)


def _as_lines(text: str, number: int) -> list[Record | BadRow]:
    """JSON lines of which the first is broken."""
    found: list[Record | BadRow] = []
    for line_number, line in enumerate(text.split("\n"), number):
        if line.strip():
            try:
                value = parse(line)
            except BadValueError as error:
                found.append(BadRow.of(line_number, error))
            else:
                # A line of a printed object may be a value of its own, such as `}` is not and `1` is.
                if isinstance(value, dict):
                    found.append(Record(line_number, value))
    return found
