"""The registry names every service once, with what it is asked and what it answers."""

from __future__ import annotations

import pytest

from corpus.contract import reports, requests
from corpus.contract.base import Report, Request
from corpus.contract.registry import SERVICES, get, service_of
from corpus.errors import NotFoundError

pytestmark = pytest.mark.fast


def test_every_request_and_report_belongs_to_one_service() -> None:
    assert {service.request for service in SERVICES.values()} == {
        kind for kind in vars(requests).values() if _is_below(kind, Request)
    }
    assert {service.report for service in SERVICES.values()} == {
        kind for kind in vars(reports).values() if _is_below(kind, Report)
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_request_finds_its_service(name: str) -> None:
    service = get(name)
    assert service_of(service.request()) is service


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="There are: collect, ingest"):
        get("harvest")


def test_a_request_of_no_service_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="asked by a Request"):
        service_of(Request(update=None))


def _is_below(kind: object, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base
