"""The secrets of a cluster: made once, one file each, and never printed."""

from __future__ import annotations

import base64
import secrets
import tomllib
from pathlib import Path

from deploy.common import atomic

_USERS = """\
# Who may log in; roles are Viewer, DataScientist (may trigger) and Admin. `make cluster-up` takes changes up.
[[user]]
name = "admin"
role = "Admin"

[[user]]
name = "scientist"
role = "DataScientist"

[[user]]
name = "viewer"
role = "Viewer"
"""
# Of the account by which the reaper asks for tasks.
_REAPER = "reaper"
_DATABASE = "postgres:5432"


def generate(folder: Path) -> None:
    """Make what is missing of a cluster's secrets.

    A file holds the value and nothing else, not even a line end: Airflow takes it as it is.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    # For *.toml of a person: keys of S3, say. Mounted by itself, so that its parent's mode guards it on the host.
    (folder / "corpus").mkdir(exist_ok=True)
    # Letters that mean nothing in a URL, so that an address can hold them as they are.
    postgres = _keep(folder / "postgres_password", secrets.token_urlsafe(32))
    celery = _keep(folder / "celery_password", secrets.token_urlsafe(32))
    redis = _keep(folder / "redis_password", secrets.token_urlsafe(32))
    airflow = f"postgresql+psycopg2://airflow:{postgres}@{_DATABASE}/airflow?connect_timeout=10"
    results = f"db+postgresql+psycopg2://celery:{celery}@{_DATABASE}/celery?connect_timeout=10"
    _keep(folder / "sql_alchemy_conn", airflow)
    _keep(folder / "result_backend", results)
    _keep(folder / "broker_url", f"redis://:{redis}@redis:6379/0")
    _keep(folder / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    _keep(folder / "jwt_secret", secrets.token_urlsafe(64))
    _keep(folder / "secret_key", secrets.token_urlsafe(64))


def generate_users(folder: Path) -> None:
    """Make users.toml and the passwords of those in it, if they are missing.

    The init job would make the passwords too, but of a group that a person is not in.
    """
    # The folders stay the person's, who may want to add a user; what guards a password is its file's mode.
    passwords = folder / "passwords"
    passwords.mkdir(parents=True, exist_ok=True)
    file = folder / "users.toml"
    if not file.exists():
        file.write_text(_USERS)
    try:
        names = [str(user["name"]) for user in tomllib.loads(file.read_text()).get("user", [])]
    except (KeyError, TypeError, ValueError):
        names = []  # the init job says what is wrong
    for name in [*names, _REAPER]:
        if "/" not in name:
            _keep(passwords / name, secrets.token_urlsafe(18))


def files(folder: Path, users: Path) -> list[Path]:
    """All files with one secret each."""
    return [one for one in (*folder.iterdir(), *(users / "passwords").iterdir()) if one.is_file()]


def _keep(file: Path, value: str) -> str:
    """The value of a secret: the one that there is, or else this one."""
    if file.exists():
        return file.read_text()
    # Postgres takes it over, and a power cut must not leave that with a password that nobody has.
    atomic.write(file, value, mode=0o440, durable=True)
    return value
