"""The recipes of CONTRIBUTING.md, followed step by step on a copy of the checkout."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
COPIED = ("corpus", "operators", "dags", "setup.py")
_STEP = re.compile(
    r"Create `(?P<created>[^`]+)`:"
    r"|In `(?P<changed>[^`]+)`, (?P<how>after|before|replace) `(?P<anchor>[^`\n]+)`(?: by)?:"
    r"|^    (?P<command>corpus .*)$\n\n*prints `(?P<printed>[^`]+)`",
    re.MULTILINE,
)
_BLOCK = re.compile(r"\s*```\w*\n(.*?)```\n", re.DOTALL)


def recipe(title: str) -> str:
    """The text of a recipe."""
    text = (REPO / "CONTRIBUTING.md").read_text()
    found = re.search(
        rf"^### {re.escape(title)}\n(.*?)(?=^### |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, title
    return found[1]


@dataclass
class Copy:
    """A copy of the checkout, and the steps that a person would do in it."""

    folder: Path

    def run(self, command: str) -> str:
        """What a command prints on both of its streams, spaces as one; it has to succeed."""
        words = [sys.executable, "-m", *shlex.split(command)]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            words, cwd=self.folder, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def change(self, title: str) -> list[tuple[str, str]]:
        """Do the steps of a recipe that write files; give its commands, and what each prints."""
        text, commands, changes = recipe(title), [], 0
        for step in _STEP.finditer(text):
            if step["command"]:
                commands.append((step["command"], step["printed"]))
                continue
            changes += 1
            block = _BLOCK.match(text, step.end())
            assert block, f"no block follows {step[0]!r}"
            self._write(step, block[1])
        # Each block belongs to a step, so none was overlooked.
        assert changes == text.count("```") // 2
        assert commands
        return commands

    def _write(self, step: re.Match[str], block: str) -> None:
        path = self.folder / (step["created"] or step["changed"])
        if step["created"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
            return
        text, anchor = path.read_text(), step["anchor"]
        assert text.count(anchor) == 1, f"{anchor!r} is there {text.count(anchor)} times"
        if step["how"] == "replace":
            text = text.replace(anchor, block.rstrip("\n"))
        elif step["how"] == "before":
            start = text.index(anchor)
            text = text[:start] + block + text[start:]
        else:
            end = text.index("\n", text.index(anchor)) + 1
            text = text[:end] + block + text[end:]
        path.write_text(text)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    for name in COPIED:
        source = REPO / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    return Copy(tmp_path)


def follow(copy: Copy, title: str) -> None:
    for command, printed in copy.change(title):
        said = copy.run(command)
        assert printed in said, said


def test_a_feature_set_extracts(copy: Copy):
    follow(copy, "Add a feature set")


def test_an_option_is_on_the_command_line_and_in_the_form(copy: Copy):
    follow(copy, "Add an option to a service")
    code = (
        "from operators.scheduling.params import params_of\n"
        "from operators.validate import ValidateUpdateOperator as Operator\n"
        "from corpus.contract.requests import ValidateRequest\n"
        "assert 'brief' in params_of(ValidateRequest) and 'brief' in Operator.template_fields\n"
        "made = Operator(task_id='validate', update_id='u', brief='true')\n"
        "assert made.options()['brief'] is True\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(copy.folder)}
    subprocess.run([sys.executable, "-c", code], cwd=copy.folder, env=environment, check=True)


def test_a_source_is_read(copy: Copy):
    follow(copy, "Add a source")


def test_a_gate_judges(copy: Copy):
    commands = copy.change("Add a gate")
    root = "--root corpus-of-a-recipe"
    source = copy.folder / "samples"
    source.mkdir()
    # The smallest file that counts as an executable here: an ELF header.
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00\x01" + bytes(43)
    (source / "one").write_bytes(header)
    copy.run(f"corpus {root} collect --update recipe --sources samples")
    for service in ("ingest", "label", "extract", "group", "split"):
        copy.run(f"corpus {root} {service} --update recipe")
    for command, printed in commands:
        said = copy.run(command)
        assert printed in said, said
