"""Why an engine will not create or start a container, in the user's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from corpus.errors import BadSettingError, PassingFaultError
from operators.containers.spec import Spec
from operators.errors import EngineError, NoSuchThingError


@contextlib.contextmanager
def refusals(spec: Spec) -> Iterator[None]:
    """Turn what the engine says to `spec` into `BadSettingError`, or `PassingFaultError` if it may say
    something else another time; that a container is gone stays `NoSuchThingError`.
    """
    try:
        yield
    except EngineError as error:
        problem = error.message
        if "bind source path does not exist" in problem:
            raise BadSettingError(
                f"{problem.rpartition(': ')[2]} is not there on the engine's host.",
                hint="The folders of the settings are mounted into the containers: make it there.",
            ) from error
        # Not if the network is only named, as that to which an endpoint could not be added just now.
        if isinstance(error, NoSuchThingError) and f"network {spec.network}" in problem:
            raise BadSettingError(f"{problem}.", field="docker.network") from error
        if isinstance(error, NoSuchThingError) and "image" not in problem:
            raise
        raise PassingFaultError(
            f"the engine refused a container of {spec.image}: {problem}"
        ) from error
