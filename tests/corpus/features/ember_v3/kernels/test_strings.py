"""Strings and patterns in them, against `re` and numpy by the definition."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.features.ember_v3.kernels.patterns import ANY, Literal, Matcher, PatternTable
from corpus.features.ember_v3.kernels.strings import PATTERNS, strings, strings_vector
from tests.support.executables import real_elfs, real_pes

HEX = "[0-9a-fA-F]"
OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
ALPHANUMERIC = string.ascii_uppercase + string.ascii_lowercase + string.digits
# As the definition writes them, where it is more than a literal.
WRITTEN = {
    "url": r"\b(?:http|https|ftp)://[a-zA-Z0-9\-._~:?#\[\]@!$&'()*+,;=]+",
    "ipv4_addr": rf"\b(?:{OCTET}\.){{3}}{OCTET}\b",
    "ipv6_addr": rf"\b(?:{HEX}{{1,4}}:){{7}}{HEX}{{1,4}}\b|\b(?:{HEX}{{1,4}}:){{1,7}}:\b"
    rf"|\b:{HEX}{{1,4}}(?::{HEX}{{1,4}}){{1,6}}\b",
    "mac_addr": rf"\b(?:{HEX}{{2}}[:-]){{5}}{HEX}{{2}}\b",
    "email_addr": rf"\b(?:{HEX}{{2}}[:-]){{5}}{HEX}{{2}}\b",
    "btc_wallet": "[13][a-km-zA-HJ-NP-Z1-9]{25,34}",
    "file_path": r"\bC:/",
    "registry_key": r"\b(?:KHEY_|KHLM|HKCU)",
    ".click(": "(?i).click",
    "base64string": f"{ALPHANUMERIC}+/",
}


def expression(alternatives: Sequence[Literal | Matcher]) -> str:
    """The regular expression that the docstring of Literal gives."""
    found = []
    for literal in alternatives:
        assert isinstance(literal, Literal)
        before, after = (f"[{re.escape(it)}]" * bool(it) for it in (literal.before, literal.after))
        text = re.escape(literal.text) + "+" * literal.repeats
        text = f"(?i:{text})" if literal.ignore_case else text
        found.append(r"\b" * literal.word + before + text + after)
    return "|".join(found)


DEFINITION = {
    name: re.compile(WRITTEN.get(name) or expression(alternatives))
    for name, alternatives in PATTERNS.items()
}


def plain_counts(data: bytes, definition: Mapping[str, re.Pattern[str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in re.findall(rb"[\x20-\x7f]{5,}", data):
        text = found.decode("ascii")
        for name, pattern in definition.items():
            if pattern.search(text):
                counts[name] = counts.get(name, 0) + 1
    return counts


def check(data: bytes) -> None:
    raw = strings(data)
    runs = re.findall(rb"[\x20-\x7f]{5,}", data)
    joined = b"".join(runs)
    assert raw["numstrings"] == len(runs)
    assert raw["printables"] == len(joined)
    assert raw["avlength"] == (len(joined) / len(runs) if runs else 0)
    assert raw["printabledist"] == [joined.count(value) for value in range(0x20, 0x80)]
    assert raw["string_counts"] == plain_counts(data, DEFINITION)
    assert list(raw["string_counts"]) == sorted(raw["string_counts"])
    counts = np.bincount(np.frombuffer(joined, np.uint8) - 0x20, minlength=96)
    shares = counts.astype(np.float32) / np.int64(max(len(joined), 1))
    shares = shares[counts > 0]
    entropy = float(np.sum(-shares * np.log2(shares)))
    assert raw["entropy"] == entropy
    vector = strings_vector(raw)
    assert vector.shape == (177,)
    assert vector.dtype == np.float32
    names = sorted(DEFINITION)
    expected = [
        raw["numstrings"],
        raw["avlength"],
        raw["printables"],
        *(count / max(len(joined), 1) for count in raw["printabledist"]),
        entropy,
        *(raw["string_counts"].get(name, 0) for name in names),
    ]
    assert np.array_equal(vector, np.array(expected).astype(np.float32))


def test_names() -> None:
    assert len(PATTERNS) == 77


@pytest.mark.parametrize("path", [*real_pes(), *real_elfs()], ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    check(path.read_bytes()[:400_000])


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6])
@pytest.mark.parametrize("edge", [b"\x1f", b"\x80", b""])
def test_short_data_and_limits_of_the_alphabet(size: int, edge: bytes) -> None:
    for character in (b" ", b"\x7f", b"a"):
        check(edge + character * size + edge)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data)


TEXTS = [
    literal.text
    for alternatives in PATTERNS.values()
    for literal in alternatives
    if isinstance(literal, Literal)
]
PIECES = {
    "literals": [*TEXTS, *map(str.upper, TEXTS), *map(str.swapcase, TEXTS), "_", "."],
    "url": ["http", "https", "ftp", "://", ":/", "h", "%", "~", "^", '"', "/"],
    "click": [*"clickCLICK", "click", "on", "."],
    "registry": ["HKCU", "KHEY", "KHLM", "_", "K", "C:/", "C:\\", "c:/", ":", "/"],
    "base64": [ALPHANUMERIC, ALPHANUMERIC[:-1], "9", "99", "+", "/"],
    "btc": ["1", "3", "a" * 24, "b" * 25, "Z" * 12, "l", "O", "0", "I", "c"],
    "ipv4": [*"0129.56....", "25", "255", "256", "199", "249", "00", "1.2.3.4", "1.2.3.", "1111"],
    "ipv6": [":", "::", ":", ":", "a", "0F", "abc", "1234", "12345", "g"],
    "mac": [*"0aF:-:-", "0a", "FF", "a:b", "00:11:22:33:44:55", "00-11:22-33:44-"],
}


@pytest.mark.parametrize("kind", PIECES)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_patterns(kind: str, data: st.DataObject) -> None:
    pieces = st.sampled_from([*PIECES[kind], "a", "_", " ", "\0", "\x7f", "     "])
    text = "".join(data.draw(st.lists(pieces, max_size=24)))
    assert strings(text.encode())["string_counts"] == plain_counts(text.encode(), DEFINITION)


@pytest.mark.parametrize(
    "text",
    ["01:23:45:67:89:ab", "01-23:45-67:89-ab", "x 01:23:45:67:89:ab_", "001:23:45:67:89:ab"],
)
def test_mac_addresses(text: str) -> None:
    check(text.encode())


# Alternatives that ember-v3 has no use for.
OTHERS: dict[str, tuple[Literal | Matcher, ...]] = {
    "email": (Matcher.EMAIL,),
    "path": (Literal(":\\", word=True, before=string.ascii_letters),),
    "key": tuple(Literal(it, word=True) for it in ("HKEY_", "HKLM", "HKCU")),
    "click": (Literal(".click("),),
    "any": (Literal("xy", before=ANY, after=ANY),),
    "either": (Literal("xyz"), Matcher.MAC, Literal("yz", ignore_case=True, after="!?")),
}
OTHERS_DEFINITION = {
    "email": re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    "path": re.compile(r"\b[A-Za-z]:\\"),
    "key": re.compile(r"\b(?:HKEY_|HKLM|HKCU)"),
    "click": re.compile(r"\.click\("),
    "any": re.compile(".xy."),
    "either": re.compile(rf"xyz|{WRITTEN['mac_addr']}|(?i:yz)[!?]"),
}


@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"@.-a%:\\xyZ!?_ ", "\0", "HK", "EY_", "LM", "CU", ".click", "(", "c:", "com", "a@b.c"]
        ),
        max_size=24,
    )
)
def test_tables_of_other_patterns(pieces: list[str]) -> None:
    data = "".join(pieces).encode()
    assert strings(data, PatternTable(OTHERS))["string_counts"] == plain_counts(
        data, OTHERS_DEFINITION
    )


def test_a_table_gives_the_vector_its_width() -> None:
    table = PatternTable(OTHERS)
    vector = strings_vector(strings(b"somebody@example.com", table), table)
    assert vector.shape == (100 + len(OTHERS),)
    assert vector[100:].tolist() == [0, 0, 0, 1, 0, 0]
    assert table.names == ("any", "click", "either", "email", "key", "path")


def test_an_automaton_of_texts_inside_each_other() -> None:
    """Every text over two letters up to a length, all of them at once."""
    texts = ["a", "b"]
    for text in texts:
        if len(text) < 4:
            texts += [text + "a", text + "b"]
    table = PatternTable({text: (Literal(text),) for text in texts})
    source = random.Random(1)
    for _ in range(100):
        text = "".join(source.choices("abAc", k=source.randrange(5, 30)))
        found = strings(text.encode(), table)["string_counts"]
        assert sorted(found) == sorted(it for it in texts if it in text)
