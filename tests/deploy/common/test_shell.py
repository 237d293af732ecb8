"""Programs: what they answer, what is raised if they cannot, and the log of those that take long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.common.errors import ProgramError, ProgramMissingError, UnavailableError
from deploy.common.shell import output, run, run_logged


def test_a_program_gets_its_input_its_variables_and_its_folder(tmp_path: Path):
    done = run(
        ["sh", "-c", 'cat; echo "$WORD"; pwd; echo wrong >&2; exit 3'],
        environment={"PATH": os.environ["PATH"], "WORD": "hello"},
        folder=tmp_path,
        input="typed\n",
    )
    assert done.stdout.splitlines() == ["typed", "hello", str(tmp_path)]
    assert (done.stderr, done.returncode) == ("wrong\n", 3)


def test_without_input_a_program_does_not_wait_for_any():
    assert output(["cat"]) == ""


def test_bytes_that_are_no_text_are_replaced():
    assert output(["printf", r"\377"]) == "\ufffd"


def test_an_error_names_program_status_and_the_end_of_what_it_said():
    script = "for n in $(seq 60); do echo line $n; done; echo why >&2; exit 7"
    with pytest.raises(ProgramError) as caught:
        output(["sh", "-c", script, "more"])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("`sh -c ")
    assert lines[0].endswith("...` ended with status 7:")
    assert lines[-2:] == ["line 60", "why"]
    assert len(lines) == 16
    assert caught.value.ended == 7


def test_a_program_that_is_missing_is_named():
    with pytest.raises(ProgramMissingError, match="no program no-such-program on this host"):
        run(["no-such-program"])


def test_a_program_that_takes_too_long_is_ended():
    with pytest.raises(UnavailableError, match="`sleep 600` did not end within"):
        run(["sleep", "600"], seconds=0.1)


def test_a_program_that_fails_leaves_its_log_and_shows_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log = tmp_path / "logs" / "x.log"
    script = "for n in $(seq 60); do echo line $n; done; echo why >&2; exit 7"
    with pytest.raises(ProgramError) as caught:
        run_logged(
            "Counting",
            ["sh", "-c", script],
            log,
            tell=lambda line: line if line.endswith("9") else None,
        )
    message = str(caught.value)
    assert message.startswith("Counting failed (status 7)")
    assert message.endswith("line 60\nwhy")
    assert "line 30\n" not in message
    assert len(log.read_text().splitlines()) == 61
    told = capsys.readouterr().out.splitlines()
    assert told == [f"  line {number}" for number in range(9, 60, 10)]
