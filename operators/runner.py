"""Where a service runs: the seam between an operator and the machine that does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from corpus.errors import BadSetting


class Runner(Protocol):
    """Runs `corpus` once. One is made for each try of a task."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        result: Path,
        on_line: Callable[[str], None],
    ) -> int:
        """Run `corpus --result RESULT ARGUMENTS...` and return its exit status (128 + n: signal n).

        `environment` is added to the service's own. `on_line` gets each line of output as it is
        written, printable and of bounded length. What the service wrote as its result is at
        `result` when this returns. Nothing that it started is left running, whether this returns,
        raises, or the calling process is killed.
        """

    def stop(self) -> None:
        """Ask what runs to end, so that `run` returns soon; callable from a signal handler."""


def get_runner(name: str) -> Runner:
    """The runner that the setting `runner` names. Raises `BadSetting`."""
    if name == "process":
        from operators.process import ProcessRunner

        return ProcessRunner()
    raise BadSetting(f"there is no runner {name!r}.", field="runner")
