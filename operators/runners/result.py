"""What a service left behind: its result file, checked, and turned into a report or an exception."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pydantic import BaseModel, ConfigDict, ValidationError

from corpus.contract import registry
from corpus.errors import (
    BadInputError,
    BadSettingError,
    BlockedError,
    ConflictError,
    CorpusError,
    DamagedError,
    NotFoundError,
    NothingNewError,
    PassingFaultError,
)
from operators.task_log import one_line

# A report is kept in Airflow's database; the services' own are a few kilobytes.
MAX_BYTES = 256 * 1024

# A retry meets these unchanged.
FINAL = {
    kind.__name__
    for kind in (
        BadInputError,
        BadSettingError,
        BlockedError,
        ConflictError,
        DamagedError,
        NotFoundError,
    )
}
_BY_STATUS: dict[int, type[CorpusError]] = {
    kind.exit_status: kind
    for kind in (
        BadInputError,
        BlockedError,
        ConflictError,
        DamagedError,
        NotFoundError,
        PassingFaultError,
    )
}


class Problem(BaseModel):
    """An error as `CorpusError.to_dict` wrote it; as text it is fit for a log, whoever wrote it."""

    model_config = ConfigDict(extra="forbid")

    type: str
    message: str
    hint: str | None = None
    fields: dict[str, Any] = {}

    def __str__(self) -> str:
        message = one_line(self.message)
        return f"{message}\n{one_line(self.hint)}" if self.hint else message


class Outcome(BaseModel):
    """A result file."""

    model_config = ConfigDict(extra="forbid")

    status: str
    report: dict[str, Any] | None = None
    error: Problem | None = None


def read_report(service: str, exit_status: int, file: Path) -> dict[str, Any]:
    """The report of a service that has ended.

    Raises `AirflowSkipException` if there was nothing to do, `AirflowFailException` if a
    retry cannot help, and `AirflowException` if it may.
    """
    outcome = _read(service, exit_status, file)
    # The exit status is looked at on its way here, a result that a sandbox wrote is not.
    if outcome.status == "nothing_new" and exit_status == NothingNewError.exit_status:
        raise AirflowSkipException(str(outcome.error or "There is nothing new."))
    if outcome.status != "ok" or exit_status != 0:
        _raise(service, exit_status, outcome.error)
    try:
        report = registry.get(service).report.model_validate(outcome.report)
    except ValidationError as error:
        raise AirflowFailException(
            f"{service} wrote a report of another shape: {_problem(error)}"
        ) from None
    return report.model_dump(mode="json")


def _read(service: str, exit_status: int, file: Path) -> Outcome:
    content = read_bounded(file)
    if content is None:
        raise AirflowException(f"{service} left no result: {how_it_ended(exit_status)}.")
    if len(content) > MAX_BYTES:
        raise AirflowFailException(
            f"{service} wrote a result of more than {MAX_BYTES} bytes.\n"
            "Data goes through the store; a result holds counts and names."
        )
    try:
        return Outcome.model_validate(json.loads(content))
    # The latter where it is nested too deep.
    except (ValueError, RecursionError) as error:
        raise AirflowFailException(
            f"{service} wrote a result that cannot be read: {_problem(error)}"
        ) from None


def read_bounded(file: Path) -> bytes | None:
    """What a result file holds, and of one that is too long a byte too much; None without a file.

    What ran may have made it a link to a file of the worker, a pipe that nobody writes to, or a
    folder: these count as no file.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    # Before it is opened as a file, which a folder cannot be.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as stream:
        return stream.read(MAX_BYTES + 1)


def copy_result(source: Path, target: Path) -> None:
    """Copy a result file, if there is one, out of a folder that what ran could write to."""
    if (content := read_bounded(source)) is not None:
        target.write_bytes(content)


def _raise(service: str, exit_status: int, problem: Problem | None) -> NoReturn:
    if problem is None:
        kind = _BY_STATUS.get(exit_status, CorpusError)
        problem = Problem(type=kind.__name__, message=f"{service}: {how_it_ended(exit_status)}.")
    exception = AirflowFailException if problem.type in FINAL else AirflowException
    raise exception(f"{one_line(problem.type)}: {problem}")


def _problem(error: Exception) -> str:
    """What is wrong with a result, in a line; a validation's own text repeats what it was given."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        error = ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return one_line(str(error))


def as_airflow(error: CorpusError) -> AirflowException:
    """An error of the worker's own side, as the exception that has Airflow try again, or not."""
    name = type(error).__name__
    kind = AirflowFailException if name in FINAL else AirflowException
    return kind(f"{name}: {error}")


def how_it_ended(exit_status: int) -> str:
    """Say in words how a process ended; above 128 a signal ended it."""
    if exit_status > 128:
        reason = {9: " (out of memory, or killed by hand)", 15: " (stopped)"}
        number = exit_status - 128
        return f"it was ended by signal {number}{reason.get(number, '')}"
    return f"it ended with exit status {exit_status}"
