"""What a service can be asked: bounded, so that a mistake is refused where it is made."""

from __future__ import annotations

import pytest

from corpus.contract.registry import SERVICES

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", SERVICES)
def test_every_number_has_a_maximum(name: str) -> None:
    for field, schema in SERVICES[name].request.model_json_schema()["properties"].items():
        for option in schema.get("anyOf", [schema]):
            if option.get("type") in ("integer", "number"):
                assert "maximum" in option, field
