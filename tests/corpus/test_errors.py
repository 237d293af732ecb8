"""One tree of errors: each exception of the corpus is on it, or is a signal that stays in its room."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from corpus import errors
from corpus.errors import CorpusError

REPO = Path(__file__).resolve().parents[2]


def classes() -> list[tuple[str, Path, list[str]]]:
    """Exceptions that the code of the corpus defines: name, file, bases."""
    found = []
    for file in sorted((REPO / "corpus").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                if node.name.endswith("Error") or {"Exception", "ValueError", "OSError"} & {*bases}:
                    found.append((node.name, file, bases))
    return found


def signals() -> set[str]:
    """Those that the drawing says stay in their rooms."""
    said = (errors.__doc__ or "").partition("Inside one room")[2].partition("\n\n")[0]
    return set(re.findall(r"\w+Error", said))


def shared() -> set[str]:
    """Those of them that the drawing says go from room to room."""
    said = (errors.__doc__ or "").partition("is shared by")[2].partition("\n\n")[0]
    return set(re.findall(r"\w+Error", said))


def test_the_text_of_an_error_is_one_line_whatever_was_put_into_it():
    error = errors.BadInputError("a\nb\x1b[2J\u202e\udcff", file="c\rd", hint="e\u2028f")
    for text in (str(error), error.message, *error.to_dict().values()):
        assert not isinstance(text, str) or text.isprintable()
    assert str(error) == "c\\rd: a\\nb\\x1b[2J\\u202e\\udcff e\\u2028f"


def test_each_exception_is_on_the_tree_or_is_a_signal_inside_one_room():
    on_tree = {
        n
        for n, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, CorpusError)
    }
    other = [name for name, _, _ in classes() if name not in on_tree]
    assert all(name.endswith("Error") for name in other)
    assert sorted(other) == sorted(signals())


def test_a_signal_is_caught_in_the_room_that_raises_it():
    for name, file, bases in classes():
        if name not in signals():
            continue
        room = file.parent
        if "ember_v3" in room.parts:
            room = REPO / "corpus" / "features" / "ember_v3"
        users = [
            f for f in (REPO / "corpus").rglob("*.py") if re.search(rf"\b{name}\b", f.read_text())
        ]
        outside = [f for f in users if not f.is_relative_to(room) and f.name != "errors.py"]
        assert bool(outside) == (name in shared()), f"{name} is used outside {room}: {outside}"
        text = "".join(f.read_text() for f in sorted(room.rglob("*.py")))
        words = "|".join({name, *bases} - {"Exception"})
        assert re.search(rf"(except|suppress)\b[^\n]*\b({words})\b", text), f"nobody catches {name}"


def test_the_drawing_names_each_error_with_its_exit_status():
    drawn = {
        name: int(status)
        for name, status in re.findall(r"^[ │├└─]*(\w+Error)\s+(\d+)  ", errors.__doc__ or "", re.M)
    }
    real = {
        name: one.exit_status
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, CorpusError)
    }
    assert drawn == real
