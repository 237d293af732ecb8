"""What this host does by itself from time to time, and how it went: a file a job below the folder of states."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.common import atomic
from deploy.common.errors import DamagedError, DeployError, UnavailableError

OK, FAILED, OFF = "ok", "failed", "off"


@dataclass(frozen=True)
class Job:
    """A verb that a timer or cron starts."""

    name: str
    period: timedelta
    timer: str


ALL = (
    Job("clean-database", timedelta(days=1), "corpus-airflow-database.timer"),
    Job("clean-logs", timedelta(days=1), "corpus-airflow-logs.timer"),
    Job("prune", timedelta(days=1), "corpus-airflow-prune.timer"),
    Job("reap", timedelta(minutes=5), "corpus-airflow-reaper.timer"),
)


class Off(str):
    """What a job says that has nothing to do on this host, by its settings."""


@dataclass(frozen=True)
class Outcome:
    """How a job's last run went; times are ISO 8601 in UTC, the last two of runs at any time."""

    job: str
    started: str
    ended: str
    status: str
    message: str
    last_success: str | None = None
    last_failure: str | None = None


class States:
    """Outcomes of jobs, in a folder; written by the jobs alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, job: str) -> Outcome | None:
        """None where it never ran. Raises `DamagedError`."""
        file = self.folder / f"{job}.json"
        try:
            outcome = Outcome(**json.loads(file.read_text(encoding="utf-8")))
            datetime.fromisoformat(outcome.ended)
            return outcome
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise DamagedError(f"{file} cannot be read ({error}); remove it.") from None

    def run(self, job: str, work: Callable[[], str]) -> str:
        """Do a job's work, one of a name at a time, and write down how it went; what it raises is raised again."""
        with self._alone(job):
            started = _now()
            try:
                message = work()
            except (DeployError, OSError) as error:
                self._write(job, started, FAILED, str(error))
                raise
            self._write(job, started, OFF if isinstance(message, Off) else OK, message)
            return message

    def _write(self, job: str, started: str, status: str, message: str) -> None:
        try:
            before = self.read(job)
        except DamagedError:
            before = None
        ended = _now()
        outcome = Outcome(
            job,
            started,
            ended,
            status,
            message,
            last_success=ended if status == OK else before.last_success if before else None,
            last_failure=ended if status == FAILED else before.last_failure if before else None,
        )
        text = json.dumps(asdict(outcome), indent=1) + "\n"
        atomic.write(self.folder / f"{job}.json", text, mode=0o644, durable=True)

    @contextmanager
    def _alone(self, job: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{job}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnavailableError(f"Another `corpus-airflow {job}` is under way.") from None
            yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
