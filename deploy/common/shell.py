"""Run a program: the one way in which deploy does it.

`run` gives whatever the program answered, `output` what it printed, and `run_logged` is for work that takes
minutes: its output goes to a log, and its progress to the terminal.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.common.errors import ProgramError, ProgramMissingError, UnavailableError

SILENCE_S = 10.0
_LAST_LINES = 25

Command = Sequence[str | Path]
Done = subprocess.CompletedProcess[str]


def say(text: str) -> None:
    print(text, flush=True)


def run(
    command: Command,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    input: str | None = None,
    capture: bool = True,
    seconds: float | None = None,
) -> Done:
    """Run a program to its end, and return how it ended, whichever way.

    :param environment: all variables of the program; those of this process by default.
    :param input: what the program reads; without it the program has no input.
    :param capture: False leaves the program's output on the terminal.
    :param seconds: how long it may take; without limit by default.

    Raises `ProgramMissingError`, and `UnavailableError` if the time was over.
    """
    words = [str(word) for word in command]
    try:
        return subprocess.run(
            words,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        if folder is not None and not folder.is_dir():
            raise
        raise ProgramMissingError(f"There is no program {words[0]} on this host.") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"`{' '.join(words[:2])}` did not end within {error.timeout:.0f} s."
        ) from None


def output(
    command: Command,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    input: str | None = None,
) -> str:
    """Run a program, and return what it printed. Raises `ProgramError` with the end of its output."""
    done = run(command, environment=environment, folder=folder, input=input)
    if done.returncode:
        raise failure(command, done)
    return done.stdout


def failure(command: Command, done: Done) -> ProgramError:
    """The error for a program that ended with one: its first words, its status, the end of its output."""
    words = " ".join(str(word) for word in command[:3])
    dots = " ..." if len(command) > 3 else ""
    said = end_of((done.stdout or "") + (done.stderr or ""), 15)
    return ProgramError(
        f"`{words}{dots}` ended with status {done.returncode}:\n{said}".rstrip(":\n"),
        done.returncode,
    )


def run_logged(
    what: str,
    command: Command,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[str], str | None] = lambda line: None,
) -> float:
    """Run a program with its output in a log, and return the seconds it took. Raises `ProgramError`.

    :param environment: variables to add to those of this process.
    :param tell: makes of a line of output what a person should see of it. If it makes nothing for ten seconds, the
        last line is shown, so that nobody takes long work for a hang.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = shown = time.monotonic()
    with log.open("w") as record:
        process = subprocess.Popen(
            [str(word) for word in command],
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
        raise ProgramError(
            f"{what} failed (status {process.returncode}). The end of {log}:\n\n"
            f"{end_of(log.read_text(), _LAST_LINES)}",
            process.returncode,
            log,
        )
    return time.monotonic() - start


def end_of(output: str, lines: int = 5) -> str:
    """The last lines of what a program said."""
    return "\n".join(output.strip().splitlines()[-lines:])
