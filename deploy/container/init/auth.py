"""Which auth manager Airflow gets: `CORPUS_AUTH` is `fab` (the default) or `simple`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.common import atomic
from deploy.container.init import accounts
from deploy.container.init.errors import InitError

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
_SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
# Of a site that logs in by LDAP, OAuth or OpenID: Flask-AppBuilder's own settings.
_FAB_CONFIG = "webserver_config.py"


def kind(environment: Mapping[str, str]) -> str:
    chosen = environment.get("CORPUS_AUTH") or "fab"
    if chosen not in ("fab", "simple"):
        raise InitError(f"CORPUS_AUTH is {chosen!r}; it is fab or simple.")
    return chosen


def settings(environment: Mapping[str, str], folder: Path = accounts.FOLDER) -> dict[str, str]:
    """Airflow's settings for the auth manager, as variables. Raises `InitError`.

    For `simple` it writes the passwords into this container's own AIRFLOW_HOME, which is in memory:
    Airflow wants to write that file, and the users' folder is not for the API server to write in.
    """
    if kind(environment) == "fab":
        config = folder / _FAB_CONFIG
        own = {"AIRFLOW__FAB__CONFIG_FILE": str(config)} if config.is_file() else {}
        return {"AIRFLOW__CORE__AUTH_MANAGER": FAB, **own}
    active = [account for account in accounts.read(folder) if account.active]
    home = Path(environment.get("AIRFLOW_HOME", tempfile.gettempdir()))
    file = home / "simple_auth_manager_passwords.json"
    passwords = {account.name: account.password() for account in active}
    atomic.write(file, json.dumps(passwords), mode=0o600)
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": _SIMPLE,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{account.name}:{accounts.ROLES[account.role]}" for account in active
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(file),
    }
