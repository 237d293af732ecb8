"""Errors of the operators' own, below those of the corpus: whoever catches `CorpusError` catches all.

CorpusError                    see corpus/errors.py
├── EngineError                the Docker engine refuses a request
│   └── NoSuchThingError       it has no such container, image or network
├── ReleaseMissingError        this host does not have the release of a run
└── PassingFaultError
    └── NoAnswerError          Airflow's API did not answer, or not as Airflow does
        └── RefusedError       it answered, and does not tell of the tasks of a DAG
"""

from __future__ import annotations

from corpus.errors import CorpusError, PassingFaultError

__all__ = [
    "EngineError",
    "NoAnswerError",
    "NoSuchThingError",
    "RefusedError",
    "ReleaseMissingError",
]


class EngineError(CorpusError):
    """The engine refuses a request; `status` is that of its answer, `message` says why in its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, status=status)
        self.status = status


class NoSuchThingError(EngineError):
    """There is no such container, image or network."""


class ReleaseMissingError(CorpusError):
    """This host does not have the release that a run began with, and it did not arrive in time."""


class NoAnswerError(PassingFaultError):
    """Airflow's API did not answer, or not as Airflow does: nothing is known about any task."""


class RefusedError(NoAnswerError):
    """Airflow's API answered, and does not tell of the tasks of this DAG."""
