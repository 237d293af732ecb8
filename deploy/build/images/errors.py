"""What keeps images from being built.

BuildError
    NoClient    no docker client here can build these images
    Failed      a program ended with an error; its output is in a log
"""

from __future__ import annotations

from pathlib import Path


class BuildError(Exception):
    """Base of this package's errors: a message that says what to do."""


class NoClient(BuildError):
    """No `docker` on PATH has BuildKit."""


class Failed(BuildError):
    """A program ended with an error."""

    def __init__(self, what: str, status: int, log: Path, last: str):
        super().__init__(f"{what} failed (status {status}). The end of {log}:\n\n{last}")
        self.status = status
        self.log = log
