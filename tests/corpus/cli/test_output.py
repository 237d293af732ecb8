"""Reports and errors as a command prints them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from corpus.cli.main import cli, run
from corpus.cli.output import report_lines

pytestmark = pytest.mark.fast


def test_rows_of_a_list_stand_below_each_other() -> None:
    gates = [
        {
            "name": "failure_share",
            "result": "pass",
            "value": 0.0,
            "warn": None,
            "message": "0 of 9",
        },
        {"name": "drift/ember-v3", "result": "warn", "value": 0.31, "warn": None, "message": "far"},
        {"name": "growth", "result": "pass", "value": None, "warn": None, "message": "first"},
    ]
    assert report_lines({"gates": gates})[1:] == [
        "  failure_share   pass  0.0   0 of 9",
        "  drift/ember-v3  warn  0.31  far",
        "  growth          pass        first",
    ]


@pytest.mark.parametrize(
    ("command", "kind", "status"),
    [
        (["verify", "--json"], "NotFoundError", 6),
        (["publish", "--json"], "BadInputError", 2),
        (["verify", "--json", "--no-such-option"], "BadSettingError", 2),
    ],
)
def test_with_json_an_error_is_a_line_of_json_on_standard_error(
    command: list[str], kind: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--root", str(tmp_path / "none"), *command]
    assert run(lambda: cli.main(words, standalone_mode=False), words) == status
    said = capsys.readouterr()
    assert said.out == ""
    error = json.loads(said.err.splitlines()[-1])
    assert error.keys() == {"type", "message", "hint", "fields"}
    assert error["type"] == kind


def test_what_needs_an_update_says_so() -> None:
    for service in ("ingest", "publish", "validate"):
        told = CliRunner().invoke(cli, [service, "--help"]).output
        assert "needed." in told, service
        assert "a new one is begun" not in told, service
