"""The address that users type is refused before anything starts if Airflow could not be reached at it."""

from __future__ import annotations

import pytest

from deploy.common.base_url import check_base_url
from deploy.common.errors import BadInputError

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "https://ml.example/",
        "https://ml.example/airflow",
        "https://ml.example/corpus/airflow/",
        "https://ml.example/apis",
        "http://[::1]:8080/x",
    ],
)
def test_an_address_with_or_without_a_path_will_do(url: str):
    check_base_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ml.example/airflow", "like https://host or https://host/path"),
        ("/airflow", "like https://host or https://host/path"),
        ("https://", "like https://host or https://host/path"),
        ("https://ml.example/?a=b", "like https://host or https://host/path"),
        ("https://ml.example/api", "begin with /api: choose another path"),
        ("https://ml.example/execution/x", "begin with /execution: choose another path"),
        ("https://ml.example//auth", "begin with /auth: choose another path"),
    ],
)
def test_another_is_refused_and_what_to_do_is_said(url: str, message: str):
    with pytest.raises(BadInputError, match="AIRFLOW__API__BASE_URL is") as caught:
        check_base_url(url)
    assert message in str(caught.value)
