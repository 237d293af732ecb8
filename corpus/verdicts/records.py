"""JSON records: what they are, and what lies within the wrappers that services and clients put around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from corpus.verdicts import formats, virustotal
from corpus.verdicts.record import MANIFEST, VIRUSTOTAL

AVCLASS = "avclass"
# A verdict, a report or a row of a table, and what an answer of an API has around it.
_WRAPPERS = ("data", "results", "result", "reports", "report", "response", "items")
_DEEPEST = 4


class Found(NamedTuple):
    """One object: where it lies within the record (`data.`), what format it has, None if it is none."""

    prefix: str
    format: str | None
    value: Any


def unwrapped(record: Any, prefix: str = "", depth: int = 0) -> Iterator[Found]:
    """The objects of a record; an empty wrapper is an answer without a report."""
    if isinstance(record, Mapping) and depth < _DEEPEST:
        found = format_of(record)
        if found in (None, VIRUSTOTAL) and not ({"scans", "attributes"} & record.keys()):
            for name, inner in _inner(record):
                entries = inner if isinstance(inner, list) else [inner]
                for entry in entries:
                    yield from unwrapped(entry, f"{prefix}{name}.", depth + 1)
                if not inner:
                    yield Found(f"{prefix}{name}.", VIRUSTOTAL, {"error": "empty"})
                return
        yield Found(prefix, found, record)
    else:
        yield Found(prefix, None, record)


def format_of(record: Mapping[str, Any]) -> str | None:
    """The format of a JSON object, None for one that is no evidence."""
    if "verdict" in record:
        return MANIFEST
    if virustotal.is_report(record):
        return VIRUSTOTAL
    if "av_labels" in record:
        return AVCLASS
    told = formats.told(record)
    if told:
        return told.name
    return MANIFEST if {"sha256", "md5", "sha1"} & record.keys() else None


def _inner(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _WRAPPERS:
        if name in record and (record[name] is None or isinstance(record[name], Mapping | list)):
            yield name, record[name]
            return
    # An export of abuse.ch: a list of entries under the number of each.
    lists = [value for value in record.values() if isinstance(value, list) and value]
    if (
        record
        and len(lists) == len(record)
        and all(
            isinstance(each, Mapping) and "sha256_hash" in each for value in lists for each in value
        )
    ):
        yield "*", [each for value in lists for each in value]
