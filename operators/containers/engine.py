"""The Docker engine of the worker's host, which may be away for a while."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from corpus.errors import BadSettingError, PassingFaultError
from operators.containers.client import Client
from operators.errors import EngineError

T = TypeVar("T")
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# What a proxy before the engine, or an engine that is just starting, answers.
_AWAY_STATUS = (502, 503, 504)


class Engine:
    """Asks an engine, again and again while it cannot be reached.

    With `live-restore` containers go on while their engine is restarted, so a task waits for it too.

    :param wait_s: seconds to wait for an engine that does not answer.
    :param say: takes a line for the task's log.
    """

    def __init__(self, client: Client, *, wait_s: float, say: Callable[[str], object]) -> None:
        self.client = client
        self.wait_s = wait_s
        self._say = say

    @property
    def url(self) -> str:
        return " or ".join(self.client.urls)

    def once(self, question: Callable[[Client], T]) -> T:
        """The engine's answer, for who comes again anyway. Raises as `ask` does."""
        return self.ask(question, lambda: True)

    def look(self, question: Callable[[Client], T]) -> T:
        """What there is on the engine. Raises `PassingFaultError`, also if it refuses to say."""
        try:
            return self.once(question)
        except EngineError as error:
            raise PassingFaultError(
                f"the Docker engine at {self.url} does not say: {error}"
            ) from error

    def ask(self, question: Callable[[Client], T], giving_up: Callable[[], bool]) -> T:
        """The engine's answer. Raises `PassingFaultError` when it stays away or when `giving_up` says so,
        `BadSettingError` if the worker may not talk to it, and `EngineError` when it refuses.

        A question may be asked twice: the first answer may have been lost on its way.
        """
        since: float | None = None
        pauses = _pauses()
        while True:
            try:
                answer = question(self.client)
            except Exception as error:
                if not is_away(error):
                    raise
                if isinstance(error, PermissionError):
                    raise BadSettingError(
                        f"the worker may not talk to the Docker engine at {self.url}.",
                        field="docker.url",
                        hint="Give it the group of the engine's socket (group_add).",
                    ) from error
                if since is None:
                    since = time.monotonic()
                    self._say(f"The Docker engine at {self.url} does not answer: waiting for it.")
                if giving_up() or time.monotonic() - since > self.wait_s:
                    raise PassingFaultError(
                        f"the Docker engine at {self.url} does not answer: {error}.",
                        hint="Does it run? `systemctl status docker` says so on the worker's host.",
                    ) from error
                time.sleep(next(pauses))
                continue
            if since is not None:
                self._say(f"The Docker engine answers, after {time.monotonic() - since:.0f} s.")
            return answer


def is_away(error: Exception) -> bool:
    """Whether an error means that the engine could not be reached, rather than that it refused."""
    if isinstance(error, EngineError):
        return error.status in _AWAY_STATUS
    return isinstance(error, OSError | http.client.HTTPException)


def _pauses() -> Iterator[float]:
    yield from _STEPS_S
    while True:
        yield _STEPS_S[-1]
