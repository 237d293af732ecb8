"""Where a service runs: the seam between an operator and the machine that does the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from operators.runners.command import Call
from operators.task_try import TaskTry

# Not loaded to parse a DAG.
if TYPE_CHECKING:
    from corpus.settings import Settings


class Runner(Protocol):
    """Runs `corpus` once. One is made for each try of a task."""

    def run(self, call: Call, *, result: Path, on_line: Callable[[str], object]) -> int:
        """Run a call and return its exit status (128 + n: signal n). Raises a `CorpusError` where
        it could not be run.

        `on_line` gets each line of output as it is written, printable and of bounded length. What
        the service wrote as its result is at `result` when this returns. Nothing that it started is
        left running when this returns or raises.
        """

    def stop(self) -> None:
        """Ask what runs to end, so that `run` returns soon, also where it has not begun yet.

        Callable from a signal handler: it writes nothing.
        """


def get_runner(settings: Settings, task: TaskTry) -> Runner:
    """The runner that the setting `runner` names, for one try of a task."""
    if settings.runner == "docker":
        from operators.runners.docker import DockerRunner

        return DockerRunner(settings, task)
    from operators.runners.process import ProcessRunner

    return ProcessRunner()
