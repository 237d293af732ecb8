"""The secrets of a cluster: made once, one file each, and never printed."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

_DATABASE = "postgres:5432"


def generate(folder: Path) -> list[str]:
    """Make what is missing of a cluster's secrets; returns the names of those that were made.

    A file holds the value and nothing else, not even a line end: Airflow takes it as it is.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    made = []

    def keep(name: str, value: str) -> str:
        file = folder / name
        if file.exists():
            return file.read_text()
        descriptor = os.open(
            file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o440
        )
        with os.fdopen(descriptor, "w") as stream:
            stream.write(value)
        file.with_suffix(".new").replace(file)
        made.append(name)
        return value

    # Letters that mean nothing in a URL, so that an address can hold them as they are.
    postgres = keep("postgres_password", secrets.token_urlsafe(32))
    celery = keep("celery_password", secrets.token_urlsafe(32))
    redis = keep("redis_password", secrets.token_urlsafe(32))
    keep(
        "sql_alchemy_conn",
        f"postgresql+psycopg2://airflow:{postgres}@{_DATABASE}/airflow?connect_timeout=10",
    )
    keep(
        "result_backend",
        f"db+postgresql+psycopg2://celery:{celery}@{_DATABASE}/celery?connect_timeout=10",
    )
    keep("broker_url", f"redis://:{redis}@redis:6379/0")
    keep("fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    keep("jwt_secret", secrets.token_urlsafe(64))
    keep("secret_key", secrets.token_urlsafe(64))
    keep("admin_password", secrets.token_urlsafe(12))
    keep("reaper_password", secrets.token_urlsafe(32))
    return made
