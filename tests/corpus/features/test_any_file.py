"""What holds of all feature sets, whatever the bytes are: hypothesis looks for those of which it does not.

tests/support/fuzz looks longer, at real files damaged on purpose.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.executables import real_pes, small_pe
from tests.support.fuzz.checks import check

_LAUNCHER = next(path.read_bytes() for path in real_pes() if path.name == "cli-64.exe")
_HEADERS = 0x400
_MAGICS = (b"MZ", b"\x7fELF\x02\x01\x01\0", b"\x7fELF\x01\x02\x01\0", b"\xcf\xfa\xed\xfe", b"%PDF-")

_BOUNDED = settings(max_examples=80, deadline=None, derandomize=True, database=None)
_NUMBERS = st.one_of(
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from((0, 1, 0x80, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)),
    st.integers(0, 0x8000),
)


def problems(data: bytes) -> list[str]:
    return check(data).problems


@_BOUNDED
@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    assert problems(data) == []


@_BOUNDED
@given(st.sampled_from(_MAGICS), st.binary(max_size=500), st.integers(0, 5000))
def test_any_bytes_behind_the_beginning_of_a_format(
    magic: bytes, data: bytes, padding: int
) -> None:
    assert problems(magic + data + bytes(padding)) == []


@_BOUNDED
@given(st.text(max_size=600), st.sampled_from(("utf-8", "utf-16", "utf-7")))
def test_any_text(text: str, encoding: str) -> None:
    assert problems(text.encode(encoding, "surrogatepass")) == []


@pytest.mark.parametrize("base", [small_pe(), _LAUNCHER], ids=["small", "launcher"])
@_BOUNDED
@given(
    edits=st.lists(st.tuples(st.integers(0, _HEADERS // 4 - 1), _NUMBERS), min_size=1, max_size=4),
    size=st.one_of(st.none(), st.integers(1, _HEADERS)),
)
def test_any_numbers_in_the_headers(
    base: bytes, edits: list[tuple[int, int]], size: int | None
) -> None:
    data = bytearray(base)
    for place, number in edits:
        struct.pack_into("<I", data, 4 * place, number)
    assert problems(bytes(data[:size])) == []


@_BOUNDED
@given(
    edits=st.lists(
        st.tuples(st.integers(_HEADERS, len(_LAUNCHER) - 8), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=20,
    )
)
def test_any_bytes_in_the_sections(edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(_LAUNCHER)
    for place, content in edits:
        data[place : place + len(content)] = content
    assert problems(bytes(data)) == []
