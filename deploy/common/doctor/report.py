"""How findings are shown: as a table for people, as JSON for programs, and briefly before a start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from deploy.common.doctor.finding import WARN, WRONG, Finding
from deploy.common.errors import DamagedError


def status(findings: Sequence[Finding]) -> int:
    """The exit status: 0, or 3 if something is wrong. What is a warning may go well."""
    return DamagedError.status if any(one.status == WRONG for one in findings) else 0


def as_json(findings: Sequence[Finding]) -> str:
    """An array of `{name, status, what, do}`."""
    return json.dumps([asdict(one) for one in findings], indent=1)


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """A line a finding, its columns below each other; what is to be done stands below what is the case."""
    width = max((len(one.name) for one in findings), default=0)
    for one in findings:
        what, *more = one.what.splitlines() or [""]
        yield f"{one.status:<5}  {one.name:<{width}}  {what}".rstrip()
        for line in [*more, *one.do.splitlines()]:
            yield f"{'':<{width + 9}}{line}"


def summary(findings: Sequence[Finding]) -> str:
    """How many things were looked at, and how many of them want something done."""
    counts = [(sum(one.status == wanted for one in findings), wanted) for wanted in (WRONG, WARN)]
    said = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"{len(findings)} things looked at: {said or 'all are ok'}."
