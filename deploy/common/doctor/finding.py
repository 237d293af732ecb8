"""Checks and what they find: all are made at once, within a time, and none of them raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OK, WARN, WRONG = "ok", "warn", "wrong"
# All checks together; the command is to end within two seconds.
SECONDS = 1.5


@dataclass(frozen=True)
class Answer:
    """What a check says of its thing: `what` is the case, and what to `do` about it; empty if it is ok."""

    status: str
    what: str
    do: str = ""


@dataclass(frozen=True)
class Finding:
    """An answer, and the name of the thing that it is about."""

    name: str
    status: str
    what: str
    do: str = ""


Check = Callable[[], Answer]


def ok(what: str) -> Answer:
    return Answer(OK, what)


def warn(what: str, do: str) -> Answer:
    """It may go well, or end in a way that nobody expects."""
    return Answer(WARN, what, do)


def wrong(what: str, do: str) -> Answer:
    """It cannot go well."""
    return Answer(WRONG, what, do)


def examine(plan: Mapping[str, Check], seconds: float = SECONDS) -> list[Finding]:
    """Make all checks of a plan, by name; return what they found, in the plan's order.

    A check that raises is a warning that says so, and so is one that has no answer after so many seconds: a disk
    or a server that does not answer must not stop whoever asks what is wrong.
    """
    answers: dict[str, Answer] = {}

    def make(name: str, check: Check) -> None:
        try:
            answers[name] = check()
        except Exception as error:
            answers[name] = warn(
                f"could not be looked at: {type(error).__name__}: {error}",
                "Look at it by hand. If there is nothing the matter with it, this is a mistake of doctor's.",
            )

    # Threads that are not waited for when Python ends.
    threads = [
        threading.Thread(target=make, args=one, name=one[0], daemon=True) for one in plan.items()
    ]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = warn(
        f"is not known after {seconds:g} s",
        "Try again; if that does not help, look at it by hand: a disk or a server may not answer.",
    )
    found = {name: answers.get(name, late) for name in plan}
    return [Finding(name, one.status, one.what, one.do) for name, one in found.items()]
