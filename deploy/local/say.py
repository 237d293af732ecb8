"""A line for whoever started a command, who may have gone: `make run | head -1`, or a closed terminal."""

from __future__ import annotations

import os
import sys

from deploy.common.shell import say


def say_if_heard(line: str = "") -> None:
    """Print a line, or nothing if nobody can read it: for what is said while there is more to do."""
    try:
        say(line)
    except OSError:
        # What is still in the buffer would raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
