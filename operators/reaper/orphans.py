"""Which containers and folders nobody waits for any more, as far as Airflow's answer tells."""

from __future__ import annotations

from operators.reaper.airflow_api import TaskState
from operators.task_try import TaskTry

# States that a task leaves only when it is cleared. Any other, one of a later Airflow too, is live.
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def why_orphan(task: TaskState | None, holder: TaskTry, owner: TaskTry | None) -> str | None:
    """Why what `holder` left on this host is lost, in words; None if it is not.

    :param task: what Airflow says of the task; None if it has no such task.
    :param holder: the try that made it.
    :param owner: the last try that took the task over on this host; None if that is not known.
    """
    if task is None:
        return "Airflow has no such task any more"
    if task.state in ENDED:
        return f"the task is {task.state}"
    if holder.generation < task.max_tries:
        return "the task was cleared since"
    # A later try that only waits may still come to this host, and take over what is here.
    if task.state == "running" and owner is not None:
        here = max(holder.try_number, owner.try_number)
        if task.try_number > here:
            return f"try {task.try_number} runs on another host"
    return None


class Sightings:
    """When each suspect was first seen, so that none is removed for what was so only for a moment.

    :param grace_s: seconds between the first sight of a suspect and its removal.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._first: dict[str, float] = {}
        self._now: set[str] = set()

    def begin_pass(self) -> None:
        self._now.clear()

    def due(self, suspect: str, now: float) -> bool:
        """Note a suspect; whether an earlier pass, long enough ago, has seen it too."""
        self._now.add(suspect)
        first = self._first.get(suspect)
        if first is None:
            self._first[suspect] = now
            return False
        return now - first >= self.grace_s

    def end_pass(self) -> None:
        """Forget what this pass has not seen: it would begin again."""
        self._first = {name: first for name, first in self._first.items() if name in self._now}
