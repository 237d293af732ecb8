"""From a result file to a report or an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from corpus import errors
from corpus.errors import CorpusError
from operators.runners.result import MAX_BYTES, read_report
from operators.task_log import MAX_LINE

REPORT = {"update": "u1", "samples": 3, "changed": 0, "due_for_reread": 0}
REPORT |= {"labels": {"malicious": 3}, "reasons": {}, "policy": {"digest": "d"}}


def outcome(tmp_path: Path, **content: Any) -> Path:
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"status": "ok", "report": None, "error": None, **content}))
    return file


def exactly(kind: type[Exception]) -> Any:
    return pytest.raises(kind, check=lambda error: type(error) is kind)


def test_a_good_report(tmp_path: Path) -> None:
    assert read_report("label", 0, outcome(tmp_path, report=REPORT)) == REPORT


@pytest.mark.parametrize(
    ("error", "exception"),
    [
        (
            errors.BadInputError("no such column.", file="a.csv", row=3, hint="Mend it."),
            AirflowFailException,
        ),
        (errors.BadSettingError("too low.", field="labels.x"), AirflowFailException),
        (errors.BlockedError("a gate blocks."), AirflowFailException),
        (errors.ConflictError("another was first."), AirflowFailException),
        (errors.NotFoundError("no such update."), AirflowFailException),
        (errors.DamagedError("bytes differ."), AirflowFailException),
        (errors.PassingFaultError("disk full.", hint="Free some."), AirflowException),
        (CorpusError("KeyError: 'x'"), AirflowException),
    ],
)
def test_errors_fail_or_retry(
    error: CorpusError, exception: type[Exception], tmp_path: Path
) -> None:
    file = outcome(tmp_path, status="error", error=error.to_dict())
    with exactly(exception) as caught:
        read_report("label", error.exit_status, file)
    first, *rest = str(caught.value).splitlines()
    assert first == f"{type(error).__name__}: {error.message}"
    assert rest == ([error.hint] if error.hint else [])


def test_every_error_of_the_corpus_is_known() -> None:
    """A new kind of error needs a decision: fail, skip or retry."""
    from operators.runners.result import FINAL

    kinds = {
        name
        for name in errors.__all__
        if name not in ("CorpusError", "NothingNewError", "PassingFaultError")
    }
    assert kinds == FINAL


def test_nothing_new_skips(tmp_path: Path) -> None:
    error = errors.NothingNewError("no new verdicts.")
    with exactly(AirflowSkipException) as caught:
        read_report("label", 3, outcome(tmp_path, status="nothing_new", error=error.to_dict()))
    assert str(caught.value) == "no new verdicts."


@pytest.mark.parametrize("status", [0, 1, 137])
def test_a_result_alone_skips_nothing(status: int, tmp_path: Path) -> None:
    """A sandbox writes what it likes; its exit status has been looked at."""
    error = errors.NothingNewError("nothing to see here.")
    with exactly(AirflowException):
        read_report(
            "ingest", status, outcome(tmp_path, status="nothing_new", error=error.to_dict())
        )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "exit status 1"),
        (128 + 9, "signal 9 (out of memory, or killed by hand)"),
        (128 + 15, "signal 15 (stopped)"),
        (128 + 11, "signal 11"),
        (0, "exit status 0"),
    ],
)
def test_no_result_is_tried_again(status: int, words: str, tmp_path: Path) -> None:
    with exactly(AirflowException) as caught:
        read_report("label", status, tmp_path / "result.json")
    assert words in str(caught.value)


def test_a_good_result_of_a_bad_ending_does_not_count(tmp_path: Path) -> None:
    with exactly(AirflowException):
        read_report("label", 128 + 9, outcome(tmp_path, report=REPORT))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"status": "ok"', "\xff", '{"state": "ok"}']
)
def test_a_result_that_cannot_be_read(content: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(content, encoding="latin-1")
    with exactly(AirflowFailException):
        read_report("label", 0, file)


def test_a_result_that_is_nested_too_deep(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("[" * MAX_BYTES)
    with exactly(AirflowFailException):
        read_report("label", 0, file)


def test_a_folder_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with exactly(AirflowException) as caught:
        read_report("label", 1, tmp_path / "result.json")
    assert "left no result" in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        {"type": "BadInputError", "message": "a\n\x1b[2Kb" * 9_999, "hint": "c\r\ud800d\n"},
        {"type": "x\n\x1b[2K", "message": "a", "hint": None},
        {"type": "BadInputError", "message": "a", "\x1b[2K\n" * 9_999: "b"},
        ["\x1b[2K\n" * 9_999],
    ],
)
def test_what_a_sandbox_says_forges_no_line_of_the_log(error: Any, tmp_path: Path) -> None:
    with pytest.raises(AirflowException) as caught:
        read_report("ingest", 1, outcome(tmp_path, status="error", error=error))
    lines = str(caught.value).split("\n")
    assert len(lines) <= 2
    # Four characters stand for one that cannot be printed.
    assert all(line.isprintable() and len(line) < 5 * MAX_LINE for line in lines)


@pytest.mark.parametrize(
    "report", [None, {}, {**REPORT, "samples": "many"}, {**REPORT, "more": 1}, {"update": "u1"}]
)
def test_a_report_of_another_shape(report: Any, tmp_path: Path) -> None:
    with exactly(AirflowFailException) as caught:
        read_report("label", 0, outcome(tmp_path, report=report))
    assert "label wrote a report of another shape" in str(caught.value)


def test_an_oversize_result(tmp_path: Path) -> None:
    file = outcome(tmp_path, report={**REPORT, "reasons": {"x" * MAX_BYTES: 1}})
    with exactly(AirflowFailException) as caught:
        read_report("label", 0, file)
    assert f"more than {MAX_BYTES} bytes" in str(caught.value)
