"""What the reaper says: a line for each thing that it does, for people or for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from operators.task_try import TaskTry


@dataclass
class Counts:
    """What a pass found and did."""

    containers: int = 0
    folders: int = 0
    suspects: int = 0
    unknown: int = 0
    removed_containers: int = 0
    removed_folders: int = 0
    removed_images: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return ", ".join(
            f"{name.replace('_', ' ')} {count}" for name, count in asdict(self).items()
        )


class Report:
    """Writes lines to standard output; as JSON objects if `as_json`."""

    def __init__(self, *, as_json: bool = False, dry_run: bool = False) -> None:
        self._as_json = as_json
        self._dry_run = dry_run
        self._told: set[str] = set()
        self._now: set[str] = set()

    def removed(self, what: str, name: str, why: str, task: TaskTry | None = None) -> None:
        """Something of ours was removed, or would be in a dry run; `task` is whose it was."""
        verb = "would remove" if self._dry_run else "removed"
        whose = f" of {_of(task)}" if task else ""
        fields: dict[str, object] = {"what": what, "name": name, "why": why}
        if task:
            fields |= {
                "dag_id": task.dag_id,
                "run_id": task.run_id,
                "task_id": task.task_id,
                "map_index": task.map_index,
                "try_number": task.try_number,
                "run_uuid": task.run_uuid,
            }
        self._write(verb, f"{verb} {what} {name}{whose}: {why}.", fields)

    def once(self, name: str, text: str) -> None:
        """Say something about `name` that is so for many passes, and only in the first of them."""
        self._now.add(name)
        if name not in self._told:
            self._told.add(name)
            self._write("notice", text, {})

    def counted(self, counts: Counts) -> None:
        self._write("pass", f"Pass: {counts}.", asdict(counts))

    def end_pass(self) -> None:
        """What was not so in this pass is said again when it comes back."""
        self._told &= self._now
        self._now.clear()

    def _write(self, action: str, text: str, fields: dict[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if self._as_json:
            line = json.dumps({"time": now, "action": action, "message": text, **fields})
        else:
            # Names are not all Airflow's: none of them may forge a line or move the cursor.
            line = f"{now} " + "".join(c if c.isprintable() else "?" for c in text)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _of(task: TaskTry) -> str:
    index = f"[{task.map_index}]" if task.map_index >= 0 else ""
    return f"{task.dag_id} {task.run_id} {task.task_id}{index} try {task.try_number}"
