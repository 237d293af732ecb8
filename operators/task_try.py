"""One try of a task, and the labels that every container of it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

PREFIX = "corpus."


@dataclass(frozen=True)
class TaskTry:
    """One try of a task instance.

    A name of a container could be taken; labels cannot, so they are what a container is found by.

    :param generation: `max_tries` of the task instance. It is the same for all retries, and grows
        when the task is cleared: what an earlier generation did is not what a cleared task asks for.
    :param host: the worker's host, as the setting `docker.host` names it.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    run_uuid: str
    task_instance_id: str
    generation: int
    host: str

    def labels(self) -> dict[str, str]:
        """Return the labels by which a container of this try is found."""
        return {f"{PREFIX}{name}": str(value) for name, value in asdict(self).items()}

    def filters(self) -> list[str]:
        """Label filters that all containers of the task match, of whichever try or generation."""
        labels = self.labels()
        names = ("dag_id", "run_id", "task_id", "map_index")
        return [f"{PREFIX}{name}={labels[PREFIX + name]}" for name in names]

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> TaskTry | None:
        """The try that a container belongs to; None for a container of somebody else."""
        found = {
            name.removeprefix(PREFIX): value
            for name, value in labels.items()
            if name.startswith(PREFIX)
        }
        return cls.from_dict(found)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TaskTry | None:
        """A try out of its fields, as text or as they are; None if one is missing or wrong."""
        kinds = {field.name: int if field.type == "int" else str for field in fields(cls)}
        try:
            typed: dict[str, Any] = {name: kind(values[name]) for name, kind in kinds.items()}
            return cls(**typed)
        except (KeyError, ValueError, TypeError):
            return None
