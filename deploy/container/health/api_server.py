"""Does the API server answer, and does it reach the metadata database?"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from deploy.container.health.configuration import setting
from deploy.container.health.errors import HealthError

_SECONDS = 10.0


def check() -> str:
    """What it says of itself, in a line. Raises `HealthError`."""
    port = int(setting("api", "port", "8080"))
    prefix = urlsplit(setting("api", "base_url", "")).path.rstrip("/")
    connection: http.client.HTTPConnection
    if setting("api", "ssl_cert", ""):
        # It is this container's own, and the certificate is not for this address.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", f"{prefix}/api/v2/monitor/health")
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise HealthError(
            f"does not answer on port {port}: {error or type(error).__name__}"
        ) from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise HealthError(f"answers with status {answer.status}")
    try:
        health: dict[str, Any] = json.loads(content)
        database = health["metadatabase"]["status"]
    except (ValueError, KeyError, TypeError):
        raise HealthError("answers, but not as Airflow does") from None
    if database != "healthy":
        raise HealthError(f"the metadata database is {database}")
    return "answers, and reaches the metadata database"
