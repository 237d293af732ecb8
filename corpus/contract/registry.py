"""The services, in the order data flows: what each is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.contract.base import Report, Request
from corpus.contract.reports import (
    CollectReport,
    ExtractReport,
    GroupReport,
    ImportVerdictsReport,
    IngestReport,
    LabelReport,
    PublishReport,
    SplitReport,
    ValidateReport,
)
from corpus.contract.requests import (
    CollectRequest,
    ExtractRequest,
    GroupRequest,
    ImportVerdictsRequest,
    IngestRequest,
    LabelRequest,
    PublishRequest,
    SplitRequest,
    ValidateRequest,
)
from corpus.errors import NotFoundError

__all__ = ["SERVICES", "Service", "get", "service_of"]


@dataclass(frozen=True)
class Service:
    """One service: its name on the command line, its request and its report.

    :param hostile: it reads bytes that an adversary wrote: a sandbox is its place, with no network
        and no secret, in a workspace.
    :param reads: which settings name what it reads beside the store: `sources` or `verdicts`.
    """

    name: str
    summary: str
    request: type[Request]
    report: type[Report]
    hostile: bool = False
    reads: str | None = None

    @property
    def identifier(self) -> str:
        """The name as Python and Airflow have it: `import_verdicts`."""
        return self.name.replace("-", "_")


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            "collect",
            "List what is new in the sources, and cut it into shards.",
            CollectRequest,
            CollectReport,
            reads="sources",
        ),
        Service(
            "ingest",
            "Read candidates, store executables as blobs, record their identity.",
            IngestRequest,
            IngestReport,
            hostile=True,
            reads="sources",
        ),
        Service(
            "import-verdicts",
            "Append verdicts from manifests and VirusTotal reports.",
            ImportVerdictsRequest,
            ImportVerdictsReport,
            reads="verdicts",
        ),
        Service(
            "label", "Resolve the verdicts of each sample into a label.", LabelRequest, LabelReport
        ),
        Service(
            "extract",
            "Extract the feature vectors of new samples, one sandboxed file at a time.",
            ExtractRequest,
            ExtractReport,
            hostile=True,
        ),
        Service(
            "group", "Find near-duplicates by TLSH and import hash.", GroupRequest, GroupReport
        ),
        Service(
            "split",
            "Assign samples to train, validation and test, by time and by group.",
            SplitRequest,
            SplitReport,
        ),
        Service(
            "validate",
            "Judge a staged update by its gates: pass, warn or block.",
            ValidateRequest,
            ValidateReport,
        ),
        Service(
            "publish",
            "Publish a valid update as an immutable snapshot.",
            PublishRequest,
            PublishReport,
        ),
    )
}


def get(name: str) -> Service:
    """A service by its name. Raises `NotFoundError`."""
    if name not in SERVICES:
        raise NotFoundError(
            f"there is no service {name!r}.", hint=f"There are: {', '.join(SERVICES)}."
        )
    return SERVICES[name]


def service_of(request: Request) -> Service:
    """Return the service that a request is for. Raises `TypeError` for a request of no service."""
    for service in SERVICES.values():
        if type(request) is service.request:
            return service
    raise TypeError(f"no service is asked by a {type(request).__name__}")
