"""The services, in the order data flows. Modules are imported when a service is first used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from corpus.errors import NotFound
from corpus.services.base import Context, Progress, Report, Request

__all__ = ["SERVICES", "Context", "Progress", "Report", "Request", "Service", "get"]


@dataclass(frozen=True)
class Service:
    """One service: its name on the command line, and where its request, report and function are.

    :param hostile: it reads bytes that an adversary wrote: a sandbox is its place, with no network
        and no secret, and with just a slice of the corpus.
    :param reads: which settings name what it reads beside the store: `sources` or `verdicts`.
    """

    name: str
    summary: str
    hostile: bool = False
    reads: str | None = None

    @property
    def identifier(self) -> str:
        return self.name.replace("-", "_")

    def _model(self, kind: str) -> Any:
        name = "".join(word.capitalize() for word in self.identifier.split("_"))
        return getattr(import_module(f"corpus.services.{kind}s"), name + kind.capitalize())

    @property
    def request(self) -> type[Request]:
        request: type[Request] = self._model("request")
        return request

    @property
    def report(self) -> type[Report]:
        report: type[Report] = self._model("report")
        return report

    def run(self, request: Request, context: Context) -> Report:
        module = import_module(f"corpus.services.{self.identifier}")
        context = replace(context, service=self.name)
        report: Report = getattr(module, self.identifier)(request, context)
        return report


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            "collect", "List what is new in the sources, and cut it into shards.", reads="sources"
        ),
        Service(
            "ingest",
            "Read candidates, store executables as blobs, record their identity.",
            hostile=True,
            reads="sources",
        ),
        Service(
            "import-verdicts",
            "Append verdicts from manifests and VirusTotal reports.",
            reads="verdicts",
        ),
        Service("label", "Resolve the verdicts of each sample into a label."),
        Service(
            "extract",
            "Extract the feature vectors of new samples, one sandboxed file at a time.",
            hostile=True,
        ),
        Service("group", "Find near-duplicates by TLSH and import hash."),
        Service("split", "Assign samples to train, validation and test, by time and by group."),
        Service("validate", "Judge a staged update by its gates: pass, warn or block."),
        Service("publish", "Publish a valid update as an immutable snapshot."),
    )
}


def get(name: str) -> Service:
    """A service by its name. Raises `NotFound`."""
    if name not in SERVICES:
        raise NotFound(f"there is no service {name!r}.", hint=f"There are: {', '.join(SERVICES)}.")
    return SERVICES[name]
