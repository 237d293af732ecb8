from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.store.content_digest import STATE_BYTES, ContentDigest, Row

pytestmark = pytest.mark.fast

ROWS = [
    Row(hashlib.sha256(str(n).encode()).hexdigest(), "benign", None, f"g{n}", "train", [("a", "x")])
    for n in range(50)
]
EMPTY = ContentDigest().hexdigest()

rows = st.builds(
    Row,
    st.text("0123456789abcdef", min_size=1, max_size=4),
    st.sampled_from(["malicious", "benign", None]),
    st.none() | st.text(max_size=3),
    st.none() | st.text(max_size=3),
    st.sampled_from(["train", "test", None]),
    st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=3)), max_size=3),
)


def digest(of: list[Row]) -> str:
    found = ContentDigest()
    found.add(of)
    return found.hexdigest()


def test_it_is_what_the_data_model_says() -> None:
    """The definition, followed word by word with Python's integers."""
    numbers = [0] * 1024
    for row in ROWS:
        fields = [row.sha256, row.label, row.family, row.group_id, row.split, [["a", "x"]]]
        canonical = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        element = hashlib.shake_128(canonical).digest(2048)
        for place in range(1024):
            value = int.from_bytes(element[2 * place : 2 * place + 2], "little")
            numbers[place] = (numbers[place] + value) % 2**16
    state = b"".join(number.to_bytes(2, "little") for number in numbers)
    assert digest(ROWS) == hashlib.sha256(state).hexdigest()


def test_order_does_not_count() -> None:
    mixed = random.Random(0).sample(ROWS, len(ROWS))
    assert digest(mixed) == digest(ROWS) != EMPTY


def test_a_state_goes_on_where_it_was_kept() -> None:
    first = ContentDigest()
    first.add(ROWS[:20])
    assert len(first.state) == STATE_BYTES
    second = ContentDigest(first.state)
    second.add(ROWS[20:])
    assert second.hexdigest() == digest(ROWS)


def test_more_rows_than_one_batch() -> None:
    many = [row._replace(sha256=str(n)) for n in range(200) for row in ROWS]
    whole, halves = ContentDigest(), ContentDigest()
    whole.add(many)
    halves.add(many[5000:])
    halves.add(many[:5000])
    assert whole.state == halves.state


@pytest.mark.parametrize("field", Row._fields)
def test_every_field_counts(field: str) -> None:
    other = ROWS[0]._replace(**{field: [("a", "y")] if field == "vectors" else "other"})
    assert digest([other]) != digest([ROWS[0]])


def test_null_is_not_a_word() -> None:
    assert digest([ROWS[0]._replace(family=None)]) != digest([ROWS[0]._replace(family="null")])


def test_the_same_row_twice_is_not_none() -> None:
    assert digest([ROWS[0]] * 2) != EMPTY


def test_a_state_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2048 bytes"):
        ContentDigest(np.zeros(3, np.uint8).tobytes())


@given(kept=st.lists(rows, max_size=8), changed=st.lists(rows, max_size=8))
def test_what_is_removed_leaves_no_trace(kept: list[Row], changed: list[Row]) -> None:
    found = ContentDigest()
    found.add([*kept, *changed])
    found.remove([row._replace(vectors=list(reversed(row.vectors))) for row in changed])
    assert found.hexdigest() == digest(kept)
