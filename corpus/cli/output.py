"""What a command prints: a report for a person, or as JSON."""

from __future__ import annotations

from typing import Any

import click

from corpus.errors import one_line


def json_option() -> click.Option:
    """Return the option --json."""
    return click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")


def echo_report(report: dict[str, Any], as_json: bool) -> None:
    """Print a report, as JSON or for a person."""
    if as_json:
        import json

        click.echo(json.dumps(report, indent=2))
        return
    for line in report_lines(report):
        click.echo(line)


def report_lines(report: dict[str, Any], indent: str = "") -> list[str]:
    """A report for a person: one aligned line a field, nothing for what is empty."""
    shown = {name: value for name, value in report.items() if value not in (None, {}, [], "")}
    width = max((len(name) for name in shown), default=0)
    lines = []
    for name, value in shown.items():
        label = f"{indent}{name.replace('_', ' '):<{width}}  "
        if isinstance(value, dict):
            flat = all(not isinstance(inner, dict | list) for inner in value.values())
            if flat:
                lines.append(label + ", ".join(f"{key} {inner}" for key, inner in value.items()))
            else:
                lines += [label.rstrip() + ":", *report_lines(value, indent + "  ")]
        elif isinstance(value, list):
            text = _aligned(value)
            if len(text) > 8 or any(isinstance(item, dict) for item in value):
                lines += [f"{label}{len(value)}", *(f"{indent}  {item}" for item in text[:20])]
                if len(text) > 20:
                    lines.append(f"{indent}  ... and {len(text) - 20} more (--json shows all)")
            else:
                lines.append(label + ", ".join(text))
        else:
            lines.append(f"{label}{value}")
    # A note, a name or a tag is what somebody wrote.
    return [one_line(line) for line in lines]


def _aligned(items: list[Any]) -> list[str]:
    """A line for each item; fields of records stand below each other, and those that are empty in all are left out."""
    records = [item for item in items if isinstance(item, dict)]
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [_cell(record.get(name)) for record in records] for name in names}
    widths = {name: max(map(len, cells)) for name, cells in columns.items() if any(cells)}
    return [
        "  ".join(_cell(item.get(name)).ljust(width) for name, width in widths.items()).rstrip()
        if isinstance(item, dict)
        else str(item)
        for item in items
    ]


def _cell(value: Any) -> str:
    return "" if value in (None, [], {}) else str(value)
