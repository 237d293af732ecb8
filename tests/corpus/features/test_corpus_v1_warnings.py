"""Kinds of warnings: what corpus-v1 takes pefile's texts for, and what ember-v3 does."""

from __future__ import annotations

import pytest

from corpus.features.corpus_v1.warnings import kinds as mended_kinds
from corpus.features.ember_v3.pefile_compat.format_warnings import KINDS, kinds

pytestmark = pytest.mark.fast

LARGE = "VirtualSize is extremely large > 256MiB."


@pytest.mark.parametrize(
    ("text", "ember", "ours"),
    [
        (
            f"Suspicious value found parsing section 3. {LARGE}",
            "Suspicious value found parsing section...",
            "...VirtualSize is extremely large > 256MiB",
        ),
        (
            "Suspicious value found parsing section 3. VirtualAddress is beyond 0x10000000.",
            "Suspicious value found parsing section...",
            "...VirtualAddress is beyond 0x10000000",
        ),
        (
            "Suspicious value found parsing section 3. Whatever.",
            "Suspicious value found parsing section...",
            "Suspicious value found parsing section...",
        ),
        (
            "Export directory contains more than 10 repeated entries (b'a', 0x1). Assuming corrupt.",
            "...Assuming corrupt.",
            "Export directory contains more than 10 repeated entries...",
        ),
        (
            "Export directory contains more than 8192 symbol entries. Assuming corrupt.",
            "...Assuming corrupt.",
            "...symbol entries. Assuming corrupt.",
        ),
        (
            "Export directory contains more than 8192 ordinal entries. Assuming corrupt.",
            "...Assuming corrupt.",
            "...ordinal entries. Assuming corrupt.",
        ),
        (
            "Export directory contains more than 120 repeated ordinal entries (0x1). Assuming corrupt.",
            "...Assuming corrupt.",
            "...Assuming corrupt.",
        ),
        (
            "Error parsing the Delay import directory at RVA: 0x1",
            "Error parsing the Delay import directory...",
            "Error parsing the Delay import directory at RVA...",
        ),
        (
            "Error parsing the Delay import directory. Invalid import data at RVA: 0x1 (x)",
            "Error parsing the Delay import directory...",
            "Error parsing the Delay import directory...",
        ),
        (
            "Error parsing the resources directory, Entry 1 is invalid, RVA = 0x1. ",
            None,
            "Error parsing the resources directory. Entry...",
        ),
        (
            "Error parsing the version information, attempting to read StringTable Value string. "
            "Can't read unicode string at offset 0x1",
            None,
            "Error parsing the version information, to read StringTable Value string...",
        ),
        (
            "Invalid VS_VERSION_INFO block: Contents are null-bytes.",
            "...Contents are null-bytes.",
            "Invalid VS_VERSION_INFO block...",
        ),
        ("Something new", None, None),
    ],
)
def test_kinds_of_warnings(text: str, ember: str | None, ours: str | None) -> None:
    assert kinds([text]) == ({ember} if ember else set())
    assert mended_kinds([text]) == ({ours} if ours else set())


def test_every_kind_of_warning_is_its_own() -> None:
    assert mended_kinds(KINDS) == set(KINDS)
    assert len(kinds(KINDS)) < len(KINDS)
