"""Tables of imported symbols whose addresses lie far apart, as in bound tables: as pefile reads them."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Sequence

import pytest

from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.pe.image import read_image
from corpus.features.ember_v3.pe.imports import MAX_THUNKS
from corpus.features.ember_v3.pe.unusual import UnusualError
from corpus.features.ember_v3.pefile_compat.fallback import read_image_by_pefile
from tests.support.fuzz.checks import differences
from tests.support.pe.built import IMPORT, SECTION, pe_file

NAMES, COUNT = 0x200, 40
ORDINAL = {True: 1 << 63, False: 1 << 31}
SPREAD = 128 * 2**20

Table = Sequence[int]


def program(*libraries: tuple[Table, Table], plus: bool = True) -> bytes:
    """A program with a lookup table (none if empty) and an address table of each library.

    The names of functions, f0 to f39, stand at `name(0)` and on.
    """
    names = b"".join(struct.pack("<H6s", number, b"f%d" % number) for number in range(COUNT))
    content = bytearray(NAMES) + names + b"a.dll".ljust(8, b"\0")
    for index, tables in enumerate(libraries):
        places = []
        for table in tables:
            places.append(SECTION + len(content) if table else 0)
            if table:
                content += struct.pack(f"<{len(table) + 1}{'Q' if plus else 'I'}", *table, 0)
        struct.pack_into("<5I", content, 20 * index, places[0], 0, 0, name(COUNT), places[1])
    return pe_file(bytes(content), IMPORT, SECTION, NAMES, plus=plus)


def name(number: int) -> int:
    return SECTION + NAMES + 8 * number


def libraries_of(data: bytes) -> list[list[bytes | int]]:
    """The symbols of each library, on which both readers agree. Raises UnusualError."""
    entropy = Content(data).entropy_of
    fast = read_image(data, entropy)
    assert fast is not None
    assert differences(fast, read_image_by_pefile(data, entropy)) == []
    return [library.symbols for library in fast["imports"]]


def random_table(rng: random.Random, plus: bool) -> list[int]:
    names = [name(rng.randrange(COUNT)) for _ in range(rng.randrange(1, 9))]
    modules = [rng.choice((0x10000000, 0x70000000, 0x77000000, 0x7FF00000)) for _ in range(3)]
    high = [0x140000000, 0x7FFA00000000, 0x7FFB00000000]
    kinds = [
        lambda: 0,
        lambda: ORDINAL[plus] | rng.randrange(1, 99),
        lambda: modules[0] + rng.randrange(1 << 20),
        lambda: rng.choice(modules) + rng.randrange(1 << 20),
        lambda: modules[0] + rng.choice((0, SPREAD - 1, SPREAD, SPREAD + 1)),
    ]
    if plus:
        kinds += [lambda: high[0] + rng.randrange(1 << 20), lambda: rng.choice(high)]
    kind, other = rng.choice(kinds), rng.choice(kinds)
    mixed = [value() for value in rng.choices((kind, kind, other), k=rng.randrange(1, 9))]
    return rng.choice((names, names, mixed, mixed, names + mixed))


def test_tables_of_any_addresses() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(1000):
        rng = random.Random(seed)
        plus, count = rng.random() < 0.6, rng.randrange(1, 5)
        # Most lookup tables are sound, or no file would be read to its end.
        tables = [
            (
                rng.choice(([name(1), name(2)], [name(3)], random_table(rng, plus), [])),
                random_table(rng, plus),
            )
            for _ in range(count)
        ]
        try:
            libraries_of(program(*tables, plus=plus))
            outcomes["alike"] += 1
        except UnusualError as error:
            outcomes[str(error)] += 1
    assert outcomes["alike"] > 400, outcomes


@pytest.mark.parametrize("plus", [False, True])
def test_tables_far_apart_count_up_to_where_pefile_gives_them_up(plus: bool) -> None:
    """Beside as many symbols as make the limit on their number fall anywhere in these tables."""
    bound = [0x70000000, 0x70000000 + SPREAD, 0x70000001 + SPREAD, 0x70000010]
    first, second = [name(0)], [name(1)]
    for count in range(MAX_THUNKS - 12, MAX_THUNKS + 2):
        ordinals = [ORDINAL[plus] | 1 + number for number in range(count)]
        before = program((first, bound), (ordinals, second), (second, second), plus=plus)
        assert libraries_of(before)[0] == [b"f0"]
        behind = program((ordinals, second), (first, bound), plus=plus)
        assert len(libraries_of(behind)[0]) == count


def test_a_table_of_addresses_far_apart_is_none() -> None:
    far = [0x10000000, 0x70000000]
    assert libraries_of(program(([], far), ([name(2)], far))) == [[b"f2"]]
    assert libraries_of(program((far, [name(3)]))) == [[b"f3"]]


def test_addresses_of_64_bits() -> None:
    far = [0x7FFA00000000, 0x7FFB00000000]
    near = [0x7FFA00000000, 0x7FFA00001000, 0x10000000]
    assert libraries_of(program(([name(1)], far), ([name(2)], near))) == [[b"f1"], [b"f2"]]
    with pytest.raises(UnusualError, match="4 GB"):
        libraries_of(program(([], near)))
