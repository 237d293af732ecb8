"""Where a service runs: the seam between an operator and the machine that does the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from operators.runners.command import Call
from operators.task_try import TaskTry

# Not loaded to parse a DAG.
if TYPE_CHECKING:
    from operators.settings import WorkerSettings


class Runner(Protocol):
    """Runs `corpus` once. One is made for each try of a task."""

    def run(self, call: Call, *, result: Path, on_line: Callable[[str], object]) -> int:
        """Run a call and return its exit status (128 + n: signal n). Raises a `CorpusError` if
        it could not be run.

        `on_line` gets each line of output as it is written, printable and of bounded length. What
        the service wrote as its result is at `result` when this returns. Nothing that it started is
        left running when this returns or raises.
        """

    def stop(self) -> None:
        """Ask what runs to end, so that `run` returns soon, even if it has not begun yet.

        Callable from a signal handler: it writes nothing.
        """


def get_runner(workers: WorkerSettings, task: TaskTry) -> Runner:
    """Make the runner that the setting `runner` names, for one try of a task.

    Raises `BadSettingError` if it needs the corpus's settings and they cannot be used.
    """
    if workers.runner == "docker":
        from corpus.settings import Settings
        from operators.runners.docker import DockerRunner

        return DockerRunner(Settings.load(), workers.docker, task)
    from operators.runners.process import ProcessRunner

    return ProcessRunner()
