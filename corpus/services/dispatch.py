"""Run the service that a request is for; a service is imported when it is first asked."""

from __future__ import annotations

from dataclasses import replace

from corpus.contract.base import Report, Request
from corpus.contract.registry import service_of
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
from corpus.services.context import Context

__all__ = ["run_service"]


def run_service(request: Request, context: Context) -> Report:
    """Do what is asked, and report. Raises what the service raises (see corpus.errors)."""
    context = replace(context, service=service_of(request).name)
    match request:
        case CollectRequest():
            from corpus.services.collect.service import collect

            return collect(request, context)
        case IngestRequest():
            from corpus.services.ingest.service import ingest

            return ingest(request, context)
        case ImportVerdictsRequest():
            from corpus.services.import_verdicts.service import import_verdicts

            return import_verdicts(request, context)
        case LabelRequest():
            from corpus.services.label.service import label

            return label(request, context)
        case ExtractRequest():
            from corpus.services.extract.service import extract

            return extract(request, context)
        case GroupRequest():
            from corpus.services.group.service import group

            return group(request, context)
        case SplitRequest():
            from corpus.services.split.service import split

            return split(request, context)
        case ValidateRequest():
            from corpus.services.validate.service import validate

            return validate(request, context)
        case PublishRequest():
            from corpus.services.publish.service import publish

            return publish(request, context)
        case _:
            raise TypeError(f"no service is asked by a {type(request).__name__}")
