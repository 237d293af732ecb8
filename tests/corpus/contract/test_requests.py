"""What a service can be asked: bounded, so that a mistake is refused where it is made."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corpus.contract.registry import SERVICES
from corpus.contract.requests import PublishRequest

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", SERVICES)
def test_every_number_has_a_maximum(name: str) -> None:
    for field, schema in SERVICES[name].request.model_json_schema()["properties"].items():
        for option in schema.get("anyOf", [schema]):
            if option.get("type") in ("integer", "number"):
                assert "maximum" in option, field


def test_a_note_is_a_line_and_no_book() -> None:
    assert PublishRequest(update="u", note="x" * 500).note
    with pytest.raises(ValidationError, match="at most 500 characters"):
        PublishRequest(update="u", note="x" * 501)
