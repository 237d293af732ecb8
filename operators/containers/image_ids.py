"""By which digest the engine of this host knows an image."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from corpus.errors import PassingFaultError
from operators.containers.client import Client
from operators.errors import NoSuchThingError


class ImageIds:
    """Digests of images, each asked for once: a name may come to mean another image any time.

    :param ask: asks the engine.
    :param url: where the engine is, for what is said.
    :param say: takes a line for the task's log.
    :param pull: pulls an image that the engine does not have, and returns what the engine says of it;
        without it that is an error.
    """

    def __init__(
        self,
        ask: Callable[[Callable[[Client], Any]], Any],
        url: str,
        say: Callable[[str], object],
        pull: Callable[[str], object] | None,
    ) -> None:
        self._ask = ask
        self._url = url
        self._say = say
        self._pull = pull
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The digest of an image. Raises `PassingFaultError` if the engine has none."""
        if name not in self._known:
            try:
                found = self._ask(lambda client: client.image(name))
            except NoSuchThingError:
                found = self._pulled(name)
            self._known[name] = found["Id"]
        return self._known[name]

    def _pulled(self, name: str) -> Any:
        problem = f"the Docker engine at {self._url} has no image {name!r}"
        if self._pull is None:
            raise PassingFaultError(
                f"{problem}.",
                hint=f"`make images` builds it, `docker pull {name}` gets it from its registry; with "
                "the setting docker.pull tasks do the latter themselves.",
            )
        self._say(f"Pulling {name}.")
        told: object = None
        try:
            told = self._pull(name)
            return self._ask(lambda client: client.image(name))
        except Exception as error:
            reason = _reason(told) or str(error)
            raise PassingFaultError(f"{problem}, nor can it be pulled: {reason}") from error


def _reason(told: object) -> str | None:
    """What went wrong, of the JSON lines in which an engine tells how pulling goes on."""
    for line in str(told or "").splitlines():
        try:
            return str(json.loads(line)["error"])
        except (ValueError, LookupError, TypeError):
            continue
    return None
