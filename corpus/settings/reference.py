"""docs/reference/settings.md: every setting, from the code that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from corpus.settings.loading import CONFIG_FILE

_HEAD = f"""# Settings

Made from `corpus/settings/` and `operators/settings.py` by `make docs`; a test keeps them alike.

A setting has the value that the first of these gives it:

1. the run: the trigger form, or `--set section.key=VALUE` on the command line;
2. the environment: `CORPUS_SECTION__KEY`, for example `CORPUS_LABELS__MIN_CONFIDENCE=0.8`
   (lists and tables as JSON);
3. the files `*.toml` of the folder `$CORPUS_CONFIG_SECRETS`, then `conf.d/*.toml` beside the main file (of each
   the last by name first), then the main file: `--config`, else `$CORPUS_CONFIG`, else `{CONFIG_FILE}`;
4. the default below.

`corpus config` prints each effective value of the corpus's own settings and where it came from, and
`python -m operators.settings` does so for those of workers (`runner`, `docker`, `reaper`, `metrics`, `logs`); secrets are
masked. An unknown name or an impossible value ends with exit status 2 and names the setting. The
`corpus` command does not look at the settings of workers, and a run does not override them.
"""


def reference(*models: type[BaseModel]) -> str:
    """Return the page, as Markdown; it lists the settings of these models."""
    return "\n".join([_HEAD, *(line for model in models for line in _lines(model))]) + "\n"


def _lines(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    plain = {n: f for n, f in model.model_fields.items() if not _section(f)}
    if plain:
        yield f"## {prefix.rstrip('.') or 'General'}\n"
        yield "| setting | default | range | meaning |"
        yield "|---|---|---|---|"
        for name, field in plain.items():
            row = (f"`{prefix}{name}`", f"`{_default(field)}`", _range(field), field.description)
            yield f"| {' | '.join(map(str, row))} |"
        yield ""
    for name, field in model.model_fields.items():
        if section := _section(field):
            yield from _lines(section, f"{prefix}{name}.")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _range(field: FieldInfo) -> str:
    """The smallest and the largest number that a setting takes; empty if it is not a number."""
    bounds = {
        kind: getattr(bound, kind)
        for bound in field.metadata
        for kind in ("ge", "gt", "le")
        if hasattr(bound, kind)
    }
    if "le" not in bounds:
        return ""
    least = f"above {bounds['gt']:,}" if "gt" in bounds else f"{bounds['ge']:,}"
    return f"{least} to {bounds['le']:,}"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
