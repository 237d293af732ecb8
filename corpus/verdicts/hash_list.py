"""Lists of hashes, one a line: sha256, sha1 or md5 by its length, as `sha256sum` and VirusShare write them."""

from __future__ import annotations

import io
from collections.abc import Iterator

from corpus.rows.bad_value import BadValueError
from corpus.rows.budget import Budget
from corpus.rows.json_rows import line_of
from corpus.rows.row import BadRow, Row
from corpus.verdicts import fields

_KINDS = {64: "sha256", 40: "sha1", 32: "md5"}
_HEX = frozenset("0123456789abcdefABCDEF")
_COMMENTS = (b"#", b";", b"//")


def kind_of_hash(word: str) -> str | None:
    """What kind of hash a word is; None if it is none."""
    return _KINDS.get(len(word)) if _HEX.issuperset(word) else None


def rows(stream: io.BufferedReader, file: str, budget: Budget) -> Iterator[Row | BadRow]:
    """A row for each line that is no comment; what stands after the hash is not read."""
    number = 0
    while line := line_of(stream, file, budget, number + 1):
        number += 1
        budget.count_rows(number, file)
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text or text.startswith(_COMMENTS):
            continue
        word = text.replace(b",", b" ").split()[0].strip(b'"').decode("ascii", "replace")
        kind = kind_of_hash(word) or "sha256"
        try:
            yield Row(number, {kind: fields.digest(word, kind)})
        except BadValueError as error:
            yield BadRow.of(number, error)
