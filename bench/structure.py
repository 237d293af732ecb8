"""The plan of the house in numbers: rooms, floors, arrows up, circles, loose modules, lengths.

    python bench/structure.py                    # this checkout
    python bench/structure.py --root DIR         # another one, an older commit's for example
    python bench/structure.py --check            # as `make lint` does: fail if the plan is broken

It reads the imports with grimp, as the contracts in `make lint` do, and imports nothing itself.
Imports inside functions and those for types alone count as well: a reader follows them too.

- A *room* is a folder below corpus, operators, deploy, bench, dags or plugins that has modules of
  its own. Where a folder holds both modules and rooms, each of these modules stands alone: it has a
  place on the floors as a room does, but is not counted as a room.
- An *arrow* goes from a room to another one if a module of the first imports a module of the second.
- A *circle* is a set of rooms each of which reaches every other one along arrows. The public face
  makes no circle.
- The *public face* are the arrows from a package's `__init__` to rooms below that package. They
  always go up, since Python runs that `__init__` before anything in those rooms.
- *Arrows up* are these, and the arrows that must go so that no circle is left: a small set, chosen
  with grimp by the number of imports, with no list of ours that says which room is above which.
  Which arrows of a circle go is open to debate; that one has to is not.
- A *floor*: without its arrows up, a room is one floor above the highest room that it imports; what
  imports none is on floor 1.
- *Loose* are the modules at the top of corpus and operators beside `__init__` and `__main__`; those
  that the plan (PLANNED) does not name are listed.
- *Lines* are those of the files, blank ones and comments included; docker's Python is code too.
- A *data table* is a file without functions and classes, more than half of whose lines are values.
"""

from __future__ import annotations

import argparse
import ast
import graphlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grimp
from common import table

ROOTS = ("corpus", "operators", "deploy", "bench", "dags", "plugins")
CODE = (*ROOTS, "docker")
# What may lie at the top of these two; each other module belongs into a room.
PLANNED = {
    "corpus": {"errors"},
    "operators": {
        *("base", "container", "errors", "settings", "task_log", "task_try", "templates"),
        *("collect", "extract", "group", "import_verdicts", "ingest", "label", "publish"),
        *("split", "validate"),
    },
}
LONGEST = 320
FLOORS = 10
# `open_snapshot` and `features`.
FACE = 2
NO_MODULES_OF_THEIR_OWN = {"__init__", "__main__"}

# From room to room: the imports that make the arrow, as pairs of modules.
Arrow = tuple[str, str]
Arrows = dict[Arrow, list[tuple[str, str]]]


@dataclass(frozen=True)
class House:
    """What is imported; places are rooms and modules that stand alone, by their dotted names."""

    rooms: set[str]
    places: set[str]
    arrows: Arrows
    face: Arrows


def read(root: Path) -> House:
    """Read the imports of the checkout at `root`, in a process that has imported none of it.

    Raises SystemExit if there is nothing to read, or if a file is not Python.
    """
    names = [name for name in ROOTS if (root / name).is_dir()]
    if not names:
        raise SystemExit(f"{root} has none of the folders {', '.join(ROOTS)}")
    sys.path.insert(0, str(root))
    try:
        graph = grimp.build_graph(*names, include_external_packages=True, cache_dir=None)
    except grimp.exceptions.SourceSyntaxError as error:
        raise SystemExit(f"{error.filename} is not Python: line {error.lineno}") from None
    finally:
        sys.path.remove(str(root))
    outside = {name for name in graph.modules if graph.is_module_squashed(name)}
    inside = graph.modules - outside
    packages = {_parent(name) for name in inside} - {""}

    def room(module: str) -> str:
        return module if module in packages else _parent(module)

    shared = {_parent(name) for name in packages}

    def place(module: str) -> str:
        return module if room(module) in shared else room(module)

    arrows, face = defaultdict(list), defaultdict(list)
    for module in sorted(inside):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported in outside:
                # What lies beside the script that was started is found by its plain name. Deeper down that
                # is a folder: a library may have the name of a script, as Karton has.
                imported = f"{module.partition('.')[0]}.{imported}"
                if imported not in (inside if module.count(".") == 1 else packages):
                    continue
            if room(imported) == module:
                continue
            start, end = place(module), place(imported)
            if imported.startswith(f"{module}."):
                face[module, room(imported)].append((module, imported))
            elif start != end:
                arrows[start, end].append((module, imported))
    files = [name for name in inside if _is_file(root, name)]
    return House(set(map(room, files)), set(map(place, files)), dict(arrows), dict(face))


def circles(arrows: Iterable[Arrow]) -> list[list[str]]:
    """Find the largest sets of rooms in which each reaches every other one."""
    graph = grimp.ImportGraph()
    for start, end in arrows:
        graph.add_import(importer=start, imported=end)
    found = {
        frozenset(graph.find_upstream_modules(name) & graph.find_downstream_modules(name)) | {name}
        for name in graph.modules
    }
    return sorted(sorted(names) for names in found if len(names) > 1)


def arrows_up(arrows: Arrows) -> list[Arrow]:
    """Choose the arrows that must go so that no circle is left."""
    graph = grimp.ImportGraph()
    rooms: dict[str, str] = {}
    graph.add_module("house")
    for (start, end), imports in arrows.items():
        # grimp weighs the arrows between a package's children by the imports below them.
        names = [f"house.{name.replace('.', '/')}" for name in (start, end)]
        rooms.update(zip(names, (start, end), strict=True))
        for name in names:
            graph.add_module(name)
        for number in range(len(imports)):
            graph.add_import(importer=f"{names[0]}.{number}", imported=f"{names[1]}.{number}")
    cut = graph.nominate_cycle_breakers("house")
    up = {(rooms[_parent(start)], rooms[_parent(end)]) for start, end in cut}
    # It takes away more than it must.
    for arrow in sorted(up, key=lambda arrow: (-len(arrows[arrow]), arrow)):
        if not circles(set(arrows) - up | {arrow}):
            up.remove(arrow)
    return sorted(up)


def floors(places: Iterable[str], arrows: Iterable[Arrow]) -> dict[int, list[str]]:
    """Say what is on which floor, the ground first; the arrows have no circle."""
    imported: dict[str, set[str]] = {name: set() for name in places}
    for start, end in arrows:
        imported[start].add(end)
    height: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(imported).static_order():
        height[name] = 1 + max((height[below] for below in imported[name]), default=0)
    found = defaultdict(list)
    for name in sorted(height):
        found[height[name]].append(name)
    return dict(sorted(found.items()))


def loose(root: Path) -> dict[str, list[str]]:
    """List the modules at the top of the packages that have a plan."""
    return {
        package: sorted(
            path.stem
            for path in (root / package).glob("*.py")
            if path.stem not in NO_MODULES_OF_THEIR_OWN
        )
        for package in PLANNED
    }


def is_data_table(path: Path) -> bool:
    """Say whether a file is values for the most part, and has neither function nor class."""
    text = path.read_text(encoding="utf-8")
    body = ast.parse(text).body
    if any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in body
    ):
        return False
    values = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
    )
    return 2 * values > len(text.splitlines())


def lines(root: Path, folders: Iterable[str]) -> dict[str, int]:
    """Count the lines of each Python file below folders of a checkout."""
    return {
        path.relative_to(root).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
    }


def measure(root: Path) -> dict[str, Any]:
    """Measure the checkout at `root`; the values are numbers, names and lists of names."""
    house = read(root)
    up = arrows_up(house.arrows)
    code, tests = lines(root, CODE), lines(root, ["tests"])
    tables = {name for name in code if is_data_table(root / name)}
    longest = max((name for name in code if name not in tables), key=lambda name: code[name])
    at_top = loose(root)
    return {
        "rooms": len(house.rooms),
        "floors": floors(house.places, set(house.arrows) - set(up)),
        "public_face": [_said(arrow, house.face) for arrow in sorted(house.face)],
        "arrows_up": [_said(arrow, house.arrows) for arrow in up],
        "circles": circles(house.arrows),
        "loose": {name: len(modules) for name, modules in at_top.items()},
        "not_planned": {
            name: sorted(set(modules) - PLANNED[name]) for name, modules in at_top.items()
        },
        "longest_file": {"name": longest, "lines": code[longest]},
        "longer_data_tables": {name: code[name] for name in tables if code[name] > code[longest]},
        "lines_of_code": sum(code.values()),
        "lines_of_tests": sum(tests.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--root", type=Path, default=here, metavar="DIR", help="checkout to read")
    parser.add_argument("--json", type=Path, metavar="FILE", help="leave the figures here")
    parser.add_argument(
        "--check", action="store_true", help="print only what breaks the plan; exit 1"
    )
    options = parser.parse_args()
    found = measure(options.root.resolve())
    if options.check:
        sys.exit("\n".join(broken(found)) or None)
    for line in report(found):
        print(line)
    table.leave(options.json, {"benchmark": "structure", **found})


def broken(found: dict[str, Any]) -> Iterator[str]:
    """Say what breaks the plan: circles, arrows up, modules without a room, files past one noun."""
    yield from (f"circle between folders: {' '.join(names)}" for names in found["circles"])
    yield from (f"arrow up: {arrow}" for arrow in found["arrows_up"])
    if len(found["floors"]) > FLOORS:
        yield f"{len(found['floors'])} floors, more than {FLOORS}"
    if len(found["public_face"]) > FACE:
        yield f"the public face grows: {'; '.join(found['public_face'])}"
    for package, modules in found["not_planned"].items():
        yield from (f"{package}/{name}.py belongs into a room" for name in modules)
    longest = found["longest_file"]
    if longest["lines"] > LONGEST:
        yield f"{longest['name']} has {longest['lines']} lines, more than {LONGEST}: is it two nouns?"


def report(found: dict[str, Any]) -> Iterator[str]:
    """Say what was measured, the floors from the top one to the ground."""
    for floor, names in reversed(found["floors"].items()):
        yield f"floor {floor:2}  {' '.join(names)}"
    yield ""
    face, up, circles_ = found["public_face"], found["arrows_up"], found["circles"]
    yield f"rooms           {found['rooms']}"
    yield f"floors          {len(found['floors'])}"
    yield f"arrows up       {len(face) + len(up)}, {len(face)} of them the public face"
    yield from (f"  {arrow}" for arrow in [*face, *up])
    yield f"circles         {len(circles_)}"
    yield from (f"  {' '.join(names)}" for names in circles_)
    for package, number in found["loose"].items():
        others = found["not_planned"][package]
        yield f"loose modules   {number} in {package}, {len(others)} of them not planned"
        if others:
            yield f"  {' '.join(others)}"
    longest = found["longest_file"]
    yield f"longest file    {longest['lines']} lines, {longest['name']}"
    for name, number in found["longer_data_tables"].items():
        yield f"  longer, but a data table: {number} lines, {name}"
    yield f"lines of code   {found['lines_of_code']}"
    yield f"lines of tests  {found['lines_of_tests']}"


def _said(arrow: Arrow, arrows: Arrows) -> str:
    start, end = arrow
    by = ", ".join(f"{importer} imports {imported}" for importer, imported in arrows[arrow])
    return f"{start} -> {end} ({by})"


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _is_file(root: Path, module: str) -> bool:
    path = root.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


if __name__ == "__main__":
    main()
