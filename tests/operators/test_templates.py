"""Text out of templates, read back as what it stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import BadInputError
from operators.templates import flag, integer, text, texts

TEXT = st.text(min_size=1).map(str.strip).filter(lambda value: value not in ("", "None", "null"))


@pytest.mark.parametrize("value", [None, "", "  ", "None", "null"])
def test_nothing_is_nothing(value: Any) -> None:
    assert text(value) is None
    assert texts(value, "f") == []
    assert integer(value, "f") is None
    assert flag(value, "f") is False


@given(st.lists(TEXT))
def test_a_list_survives_json_and_python(value: list[str]) -> None:
    assert texts(value, "f") == value
    assert texts(json.dumps(value), "f") == value
    assert texts(str(value), "f") == value


def test_one_text_a_line() -> None:
    assert texts("/a b\n\n s3://x \n", "f") == ["/a b", "s3://x"]


@given(st.integers())
def test_integers(value: int) -> None:
    assert integer(value, "f") == integer(str(value), "f") == value


@pytest.mark.parametrize("value", [1.0, "1.0", "1", " 1.0 ", "1e0", 1])
def test_a_whole_number_may_be_written_as_a_json_schema_takes_it(value: Any) -> None:
    assert integer(value, "f") == 1


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE "])
def test_true(value: Any) -> None:
    assert flag(value, "f") is True


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (integer, "three"),
        (integer, "1.5"),
        (integer, 1.5),
        (integer, "NaN"),
        (integer, "-Infinity"),
        (integer, "1e400"),
        (integer, True),
        (flag, "yes"),
        (flag, 2),
        (texts, "[1, "),
        (texts, "[__import__('os')]"),
        (texts, {"a": 1}),
        (texts, 7),
    ],
)
def test_what_it_is_not_is_refused_by_name(read: Any, value: Any) -> None:
    with pytest.raises(BadInputError, match="field 'the_field'"):
        read(value, "the_field")
