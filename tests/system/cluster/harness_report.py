"""What a person needs when a test of the cluster fails, and the table of what faults cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from deploy.common.errors import ClusterError, UnavailableError
from deploy.local.cluster.workdir import REPO

if TYPE_CHECKING:
    from tests.system.cluster.harness import Update

FILE = REPO / ".work" / "faults.jsonl"
_LINES = 30


@dataclass(frozen=True)
class Measurement:
    """What a fault cost, or what a person waits for.

    :param healed_s: seconds from the fault until all tasks that it met had ended well, and the next one had begun;
        None where nothing was to heal.
    :param update_s: seconds that the whole update took, where it was to succeed.
    :param tries: the most tries that a task of the update had.
    """

    fault: str
    healed_s: float | None
    update_s: float | None = None
    tries: int = 1


def note(measurement: Measurement) -> None:
    """Add to what this session has measured."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    # A line each, so that nothing has to be read back.
    with FILE.open("a") as file:
        file.write(json.dumps(asdict(measurement)) + "\n")


def measured() -> list[Measurement]:
    lines = FILE.read_text().splitlines() if FILE.is_file() else []
    return [Measurement(**json.loads(line)) for line in lines]


def table(rows: list[Measurement]) -> list[str]:
    return [
        "| fault | healed after, s | whole update, s | tries |",
        "|---|---|---|---|",
        *(
            f"| {one.fault} | {_shown(one.healed_s)} | {_shown(one.update_s)} | {one.tries} |"
            for one in rows
        ),
    ]


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}"


def diagnosis(update: Update) -> str:
    """States of the tasks, the ends of the logs of those that did not succeed, and containers."""
    parts = [f"{update.dag} {update.run_id}, corpus {update.root}"]
    try:
        tasks = update.tasks()
        parts += [_line(task) for task in sorted(tasks, key=lambda one: one["start_date"] or "9")]
        for task in tasks:
            if task["state"] in ("failed", "up_for_retry", "running") or task["try_number"] > 1:
                parts += ["", f"Log of {_name(task)}, try {task['try_number']}:"]
                parts += update.log(task)[-_LINES:]
    except UnavailableError as error:
        parts.append(str(error))
    parts += ["", "Containers of its tasks:", *map(str, update.containers())]
    parts += [f"scratch: {folder}" for folder in update.scratch()]
    return "\n".join([*parts, "", *_services(update)])


def _services(update: Update) -> Iterator[str]:
    compose = update.lab.cluster.compose
    try:
        for container in compose.ps():
            yield f"{container.name}: {container.status}"
    except ClusterError as error:
        yield str(error)
    for service in ("scheduler", "worker", "reaper"):
        yield f"\nThe end of what the {service} says:"
        yield compose.run("logs", "--no-color", "--tail", "15", service, capture=True)


def _line(task: dict[str, Any]) -> str:
    return (
        f"  {_name(task):<20} {task['state'] or '-':<16} try {task['try_number']} on {task['hostname'] or '-'}"
        f"  {task['start_date'] or '-'} .. {task['end_date'] or '-'}"
    )


def _name(task: dict[str, Any]) -> str:
    index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
    return f"{task['task_id']}{index}"
