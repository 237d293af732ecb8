"""The Docker engine of the worker's host, which may be away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import docker.errors
import urllib3.exceptions
from docker import APIClient

from corpus.errors import BadSetting, PassingFault

T = TypeVar("T")
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# What a proxy before the engine, or an engine that is just starting, answers.
_AWAY_STATUS = (502, 503, 504)


class Engine:
    """Asks an engine, again and again while it cannot be reached.

    With `live-restore` containers go on while their engine is restarted, so a task waits for it too.

    :param connect: makes a client; what it raises counts as the engine's silence.
    :param url: the engine's address, for messages.
    :param wait_s: seconds to wait for an engine that does not answer.
    :param say: takes a line for the task's log.
    """

    def __init__(
        self,
        connect: Callable[[], APIClient],
        *,
        url: str,
        wait_s: float,
        say: Callable[[str], object],
    ) -> None:
        self.connect = connect
        self.url = url
        self.wait_s = wait_s
        self._say = say
        self._client: APIClient | None = None

    def ask(self, question: Callable[[APIClient], T], giving_up: Callable[[], bool]) -> T:
        """The engine's answer. Raises `PassingFault` when it stays away or when `giving_up` says so,
        `BadSetting` where the worker may not talk to it, and `APIError` when it refuses.

        A question may be asked twice: the first answer may have been lost on its way.
        """
        since: float | None = None
        pauses = _pauses()
        while True:
            try:
                answer = question(self.client())
            except Exception as error:
                if not is_away(error):
                    raise
                self._client = None
                if _forbidden(error):
                    raise BadSetting(
                        f"the worker may not talk to the Docker engine at {self.url}.",
                        field="docker.url",
                        hint="Give it the group of the engine's socket (group_add).",
                    ) from error
                if since is None:
                    since = time.monotonic()
                    self._say(f"The Docker engine at {self.url} does not answer: waiting for it.")
                if giving_up() or time.monotonic() - since > self.wait_s:
                    raise PassingFault(
                        f"the Docker engine at {self.url} does not answer: {error}.",
                        hint="Does it run? `systemctl status docker` says so on the worker's host.",
                    ) from error
                time.sleep(next(pauses))
                continue
            if since is not None:
                self._say(f"The Docker engine answers, after {time.monotonic() - since:.0f} s.")
            return answer

    def client(self) -> APIClient:
        if self._client is None:
            self._client = self.connect()
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def is_away(error: Exception) -> bool:
    """Whether an error means that the engine could not be reached, rather than that it refused."""
    if isinstance(error, docker.errors.APIError):
        return error.status_code in _AWAY_STATUS
    # requests' own errors are OSErrors; a client that cannot even begin raises the base class.
    return (
        isinstance(error, OSError | urllib3.exceptions.HTTPError)
        or type(error) is docker.errors.DockerException
    )


def _forbidden(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, PermissionError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _pauses() -> Iterator[float]:
    yield from _STEPS_S
    while True:
        yield _STEPS_S[-1]
