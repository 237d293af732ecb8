"""Waiting for what takes a while in a cluster, some of which may be away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from deploy.common.errors import AnswerError, UnavailableError

T = TypeVar("T")


def until(what: str, seen: Callable[[], T | None], seconds: float, pause: float = 0.5) -> T:
    """The first true answer; fails the test with `what` where none came in time.

    The time is a limit for a cluster that hangs, and no requirement.
    """
    deadline = time.monotonic() + seconds
    while not (answer := seen()):
        assert time.monotonic() < deadline, f"{what}: not in {seconds:.0f} s"
        time.sleep(pause)
    return answer


def patiently(question: Callable[[], T], seconds: float = 180) -> T:
    """Airflow's answer, though its API or its database may be away for a while."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return question()
        except UnavailableError as error:
            refused = isinstance(error, AnswerError) and 400 <= error.code < 500
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
