from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources.location import decode, encode, member

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/a/b c.exe", "/a/b c.exe"),
        ("/a/ü日.exe", "/a/ü日.exe"),
        ("/a/100%.exe", "/a/100%25.exe"),
        ("/a/%41", "/a/%2541"),
        ("/a/line\nbreak\ttab", "/a/line%0Abreak%09tab"),
        (os.fsdecode(b"/a/\xff\xc3\x28"), "/a/%FF%C3("),
        ("/a/\x85", "/a/%C2%85"),
    ],
)
def test_only_what_no_table_holds_is_encoded(path: str, location: str) -> None:
    assert encode(path) == location
    assert decode(location) == path


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_any_name_of_the_file_system_comes_back(name: bytes) -> None:
    location = encode(os.fsdecode(name))
    assert os.fsencode(decode(location)) == name
    assert location.encode().decode() == location
    assert "\n" not in location


def test_a_member_keeps_the_archive_in_its_location() -> None:
    assert member("/a%0Ab.zip", "x/100%.exe") == "/a%0Ab.zip::x/100%25.exe"
