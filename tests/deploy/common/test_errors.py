"""One tree of errors: each exception of deploy is on it, is drawn, and says the status a command ends with."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from deploy.common import errors
from deploy.common.errors import DeployError

REPO = Path(__file__).resolve().parents[3]


def _classes(file: Path) -> dict[str, list[str]]:
    tree = ast.parse(file.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {node.name: [ast.unparse(base) for base in node.bases] for node in nodes}


def test_every_exception_of_deploy_ends_on_the_tree():
    defined = [
        (name, bases)
        for file in sorted((REPO / "deploy").rglob("*.py"))
        for name, bases in _classes(file).items()
        if name.endswith("Error")
        or {"Exception", "RuntimeError", "ValueError", "OSError"} & {*bases}
    ]
    found = dict(defined)
    assert len(found) == len(defined), "two errors have one name"
    roots = {name for name, bases in found.items() if not set(bases) & found.keys()}
    assert roots == {"DeployError"}
    assert all(name.endswith("Error") for name in found)


def test_the_drawing_names_each_error_with_its_parent_and_its_status():
    drawn: dict[str, tuple[str, int]] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)(\w+Error)\s+(\d+)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth] = found[2]
            drawn[found[2]] = (above.get(depth - 1, "Exception"), int(found[3]))
    real = {
        name: (one.__bases__[0].__name__, one.status)
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, DeployError)
    }
    assert drawn == real
