"""Files of variables, as compose's --env-file reads them."""

from __future__ import annotations

from pathlib import Path


def read_env(file: Path) -> dict[str, str]:
    """NAME=value lines, quotes around a value taken off; none where there is no file."""
    found: dict[str, str] = {}
    if not file.is_file():
        return found
    for line in file.read_text().splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found
