"""Programs that take long: all they say goes to a log, and how far they are to the terminal."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.build.images.errors import Failed

SILENCE_S = 10.0
_LAST_LINES = 25


def say(text: str) -> None:
    print(text, flush=True)


def run(
    what: str,
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[str], str | None] = lambda line: None,
) -> float:
    """Run a program to its end, and return the seconds it took. Raises `Failed`.

    `tell` makes of a line of output what a person should see of it. Where it makes nothing for ten
    seconds, the line that was written last is shown, so that nobody takes long work for a hang.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = shown = time.monotonic()
    with log.open("w") as record:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
        )
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                record.write(line)
                told = tell(line.rstrip())
                if told is None and time.monotonic() - shown > SILENCE_S:
                    told = f"... {line.strip()[:100]}"
                if told:
                    say(f"  {told}")
                    shown = time.monotonic()
    if process.returncode:
        last = "\n".join(log.read_text().splitlines()[-_LAST_LINES:])
        raise Failed(what, process.returncode, log, last)
    return time.monotonic() - start
