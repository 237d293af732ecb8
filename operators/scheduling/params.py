"""A service's request as the params of a trigger form."""

from __future__ import annotations

import re
from typing import Any

from airflow.sdk import Param
from pydantic import BaseModel

# What JSON Schema and the form both understand; the rest of a schema is for pydantic.
_KEPT = (
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "pattern",
    "minLength",
    "maxLength",
    "items",
)


def params_of(request: type[BaseModel]) -> dict[str, Param]:
    """A param for each field, with its description, its default and its limits.

    Every field must have a default: a service alone is asked for little more than its update. So a
    param may always be null, for the default; without null the form would mark it as required.
    """
    schema = request.model_json_schema()
    return {
        name: _param(name, field, request.model_fields[name].get_default(call_default_factory=True))
        for name, field in schema["properties"].items()
    }


def _param(name: str, field: dict[str, Any], default: Any) -> Param:
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    kept = {key: options[0][key] for key in _KEPT if key in options[0]}
    kept["type"] = ["null", kept["type"]]
    if choices := kept.get("items", {}).get("enum"):
        # What makes the form show a multi-select.
        kept["examples"] = choices
    title = re.sub("^re_", "re-", name).replace("_", " ").capitalize()
    return Param(default, description=field.get("description"), title=title, **kept)
