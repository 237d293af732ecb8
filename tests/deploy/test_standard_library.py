"""What the host command and doctor may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("folder", ["common", "host", "local/doctor"])
def test_the_host_command_and_doctor_import_nothing_but_the_standard_library(folder: str) -> None:
    """All names, and not just those that the contract lists."""
    for file in (REPO / "deploy" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top == "deploy" or top in sys.stdlib_module_names, f"{file} imports {name}"
