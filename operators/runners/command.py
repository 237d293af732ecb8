"""One call of a service: what `corpus` is asked to do, and for whom."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = str | int | bool | Sequence[str] | None


@dataclass(frozen=True)
class Call:
    """What a runner is given to run.

    :param service: name of the service, as in `corpus.services`.
    :param options: the service's options, named as the fields of its request; None, False and empty
        lists are left out.
    :param root: another corpus than the configured one.
    :param overrides: settings that the call overrides: `section.key` to its value as `--set` reads it.
    :param identity: who asks for the work (`CORPUS_RUN`), without secrets.
    """

    service: str
    options: Mapping[str, Value] = field(default_factory=dict)
    root: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        """The command line of `corpus`, without the option that says where the result goes."""
        root = ["--root", self.root] if self.root else []
        return [*root, *self.sets(), self.service, *given(self.options)]

    def sets(self) -> list[str]:
        return [
            part for name, value in self.overrides.items() for part in ("--set", f"{name}={value}")
        ]

    def environment(self) -> dict[str, str]:
        return {"CORPUS_RUN": json.dumps(self.identity)}


def given(options: Mapping[str, Value]) -> list[str]:
    """Options of a service as arguments."""
    arguments = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif isinstance(value, str | int) and value is not False:
            # One argument, so that a value with a leading dash is not taken for an option.
            arguments.append(f"{option}={value}")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            arguments += [f"{option}={item}" for item in value]
    return arguments
