"""The address of Airflow that users type: `[api] base_url`."""

from __future__ import annotations

from urllib.parse import urlsplit

from deploy.common.errors import BadInputError

NAME = "AIRFLOW__API__BASE_URL"
# Parts of the cluster ask for paths that begin so, without that of the address.
_AIRFLOWS = ("api", "auth", "execution")


def check_base_url(url: str) -> None:
    """Raise `BadInputError` unless Airflow can be reached at this address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadInputError(
            f"{NAME} is {url!r}; it is the address that users type, like https://host or https://host/path."
        )
    if (first := parts.path.strip("/").partition("/")[0]) in _AIRFLOWS:
        raise BadInputError(
            f"{NAME} is {url!r}, and Airflow has paths of its own that begin with /{first}: "
            "choose another path for it."
        )
