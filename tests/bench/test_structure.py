"""The plan of a small house in numbers, by the command that a person types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "structure.py"

# Sound: errors below store and stages, the face above them, a script with a helper beside it.
HOUSE = {
    "corpus/__init__.py": "from corpus.stages import label\n",
    "corpus/errors.py": "class CorpusError(Exception): ...\n",
    "corpus/store/__init__.py": "",
    "corpus/store/blobs.py": "from corpus.errors import CorpusError\n",
    "corpus/stages/__init__.py": "",
    "corpus/stages/label.py": "from corpus.store import blobs\n",
    "operators/__init__.py": "",
    "operators/label.py": "def run():\n    from corpus.stages import label\n    return label\n",
    "dags/update.py": "from operators import label\n",
    "bench/common/__init__.py": "",
    "bench/common/table.py": "",
    "bench/speed.py": "from common import table\n",
    "tests/test_label.py": "def test_label():\n    pass\n",
}


def build(root: Path, *changes: tuple[str, str]) -> Path:
    for name, text in (*HOUSE.items(), *changes):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def command(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "--root", root, *options], capture_output=True, text=True
    )


def measure(root: Path) -> dict:
    file = root / "figures.json"
    done = command(root, "--json", str(file))
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text())


def test_rooms_are_folders_and_a_room_is_above_what_it_imports(tmp_path):
    found = measure(build(tmp_path))
    assert found["rooms"] == 7
    assert found["floors"] == {
        "1": ["bench.common", "corpus", "corpus.errors"],
        "2": ["bench.speed", "corpus.store"],
        "3": ["corpus.stages"],
        "4": ["operators"],
        "5": ["dags"],
    }
    assert found["circles"] == found["arrows_up"] == []


def test_the_public_face_is_told_apart(tmp_path):
    found = measure(build(tmp_path, ("corpus/store/face.py", "import corpus\n")))
    assert found["public_face"] == ["corpus -> corpus.stages (corpus imports corpus.stages.label)"]
    assert found["circles"] == found["arrows_up"] == []


@pytest.mark.parametrize(
    "line",
    [
        "from corpus.stages import label\n",
        "from corpus.stages.label import blobs\n",
        "def later():\n    import corpus.stages.label\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from corpus.stages import label\n",
    ],
)
def test_an_import_from_above_is_an_arrow_up_and_makes_a_circle(tmp_path, line):
    more = ("corpus/stages/split.py", "from corpus.store import blobs\n")
    found = measure(build(tmp_path, more, ("corpus/store/index.py", line)))
    assert found["circles"] == [["corpus.stages", "corpus.store"]]
    [arrow] = found["arrows_up"]
    assert arrow.startswith("corpus.store -> corpus.stages (corpus.store.index imports corpus.")
    assert found["floors"]["3"] == ["corpus.stages"]


def test_no_more_arrows_go_up_than_must(tmp_path):
    circle = ("corpus/store/index.py", "from corpus.stages import label\n")
    others = [
        (f"corpus/{name}/__init__.py", f"from corpus.{below} import {module}\n")
        for name, below, module in (("a", "stages", "label"), ("b", "store", "blobs"))
    ]
    found = measure(build(tmp_path, circle, *others))
    assert len(found["arrows_up"]) == 1


def test_modules_outside_a_room_that_the_plan_does_not_name_are_listed(tmp_path):
    house = build(tmp_path, ("corpus/npz.py", ""), ("operators/cards.py", ""))
    found = measure(house)
    assert found["loose"] == {"corpus": 2, "operators": 2}
    assert found["not_planned"] == {"corpus": ["npz"], "operators": ["cards"]}
    assert "cards" in command(house).stdout


def test_lengths_leave_data_tables_apart(tmp_path):
    table = "NAMES = {\n" + "".join(f"    {n}: 'name {n}',\n" for n in range(50)) + "}\n"
    functions = table + "".join(f"def f{n}():\n    pass\n" for n in range(30))
    found = measure(
        build(
            tmp_path,
            ("corpus/store/names.py", table * 3),
            ("corpus/store/functions.py", functions),
            ("docker/health.py", "\n" * 40),
        )
    )
    assert found["longest_file"] == {"name": "corpus/store/functions.py", "lines": 112}
    assert found["longer_data_tables"] == {"corpus/store/names.py": 156}
    code = sum(len(text.splitlines()) for name, text in HOUSE.items() if name[:5] != "tests")
    assert found["lines_of_code"] == code + 112 + 156 + 40
    assert found["lines_of_tests"] == 2


def test_what_cannot_be_read_is_named(tmp_path):
    assert "has none of the folders corpus" in command(tmp_path).stderr
    house = build(tmp_path, ("dags/update.py", "def\n"))
    done = command(house)
    assert done.returncode == 1
    assert "dags/update.py is not Python: line 1" in done.stderr


def test_the_check_is_silent_about_a_sound_house(tmp_path):
    done = command(build(tmp_path), "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("corpus/store/blobs.py", "import corpus.stages.label\n")], "circle between folders"),
        ([("corpus/loose.py", "")], "corpus/loose.py belongs into a room"),
        ([("dags/update.py", "x = 1\n" * 330)], ""),
        ([("dags/update.py", "def f(): ...\n" * 330)], "dags/update.py has 330 lines"),
        (
            [
                ("bench/common/table.py", "from other import rows\n"),
                ("bench/other/__init__.py", ""),
                ("bench/other/rows.py", "from common import table\n"),
            ],
            "circle between folders: bench.common bench.other",
        ),
    ],
    ids=["circle", "loose", "data table", "long file", "bench"],
)
def test_the_check_names_what_breaks_the_plan(tmp_path, changes, said):
    done = command(build(tmp_path, *changes), "--check")
    assert said in done.stderr
    assert done.returncode == bool(said)
