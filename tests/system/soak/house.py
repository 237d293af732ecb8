"""What a soak needs of an Airflow, wherever its parts run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

from corpus.store.object_store import Store
from deploy.common.airflow_api import AirflowApi


@dataclass(frozen=True)
class Work:
    """A service at work: which, for which task of which run, and what tells it from its next try.

    :param key: the process or container that does it.
    """

    service: str
    task: str
    key: str


class House(ABC):
    """One Airflow with one corpus."""

    # The parts that may be killed.
    parts: tuple[str, ...]
    api: AirflowApi
    store: Store

    @abstractmethod
    def watch(self) -> None:
        """What is to be called again and again while one waits; raises what its watching raises."""

    @abstractmethod
    def working(self, services: Collection[str]) -> list[Work]:
        """Which of these services are at work now."""

    @abstractmethod
    def kill(self, work: Work, victim: str, after_s: float) -> str:
        """Kill the task of a service, or what it has started, when it has worked for so long.

        Returns what was killed, in words; empty if the service had ended before.
        """

    @abstractmethod
    def kill_part(self, part: str) -> str:
        """Kill a part of Airflow; returns what was killed, in words; empty if there is nothing to kill just now."""

    @abstractmethod
    def ailing(self) -> str:
        """What is not well, in words; empty if all parts are alive and well."""

    @abstractmethod
    def left_over(self) -> list[str]:
        """What is there though no task runs: processes, containers, folders, temporary files."""
