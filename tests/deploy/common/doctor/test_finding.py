"""Checks are made together, and none of them gets in the way of another."""

from __future__ import annotations

import threading

import pytest

from deploy.common.doctor.finding import Answer, Finding, examine, ok, warn, wrong

pytestmark = pytest.mark.fast


def test_what_is_found_has_the_order_of_the_plan():
    found = examine({"a": lambda: wrong("is missing", "Make it."), "b": lambda: ok("is there")})
    assert found == [
        Finding("a", "wrong", "is missing", "Make it."),
        Finding("b", "ok", "is there"),
    ]


def test_a_check_that_fails_is_a_warning_and_no_traceback(capsys: pytest.CaptureFixture[str]):
    def fails() -> Answer:
        raise PermissionError(13, "Permission denied")

    first, second = examine({"a": fails, "b": lambda: ok("is there")})
    assert (first.status, second.status) == ("warn", "ok")
    assert "could not be looked at: PermissionError: [Errno 13] Permission denied" in first.what
    assert first.do
    assert capsys.readouterr() == ("", "")


def test_nobody_waits_for_a_check_that_does_not_end():
    for_ever = threading.Event()

    def hangs() -> Answer:
        for_ever.wait()
        return ok("")

    first, second = examine({"a": hangs, "b": lambda: warn("is small", "Enlarge it.")}, seconds=0.5)
    for_ever.set()
    assert (first.status, first.what) == ("warn", "is not known after 0.5 s")
    assert second.what == "is small"
