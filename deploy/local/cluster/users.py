"""Who may log in to a cluster's UI, and where their passwords are."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from deploy.common.errors import ClusterError
from deploy.local.cluster.address import api_url, ui_url
from deploy.local.cluster.workdir import Place


def login(place: Place) -> tuple[str, str, str]:
    """The API's address, and the first administrator's name and password. Raises `ClusterError`."""
    file = _file(place)
    for user in _listed(file):
        if user["role"] == "Admin" and user.get("active", True):
            password = file.parent / user.get("password_file", f"passwords/{user['name']}")
            try:
                return api_url(place), user["name"], password.read_text().rstrip("\r\n")
            except OSError as error:
                raise ClusterError(
                    f"The password of {user['name']} cannot be read from {password}: {error.strerror}.\n"
                    "`make cluster-up INIT=1` makes one that is missing."
                ) from None
    raise ClusterError(f"{file} has no active user with the role Admin.")


def users(place: Place) -> list[str]:
    """Lines for a person: the address, the users, and where passwords are, but no password."""
    file = _file(place)
    names = ", ".join(f"{user['name']} ({user['role']})" for user in _listed(file))
    return [f"  {ui_url(place)}", f"  users {names}; their passwords: {file.parent / 'passwords'}"]


def _file(place: Place) -> Path:
    return place / "users" / "users.toml"


def _listed(file: Path) -> list[dict[str, Any]]:
    """The tables of users.toml; what else may be wrong with it, the init job says."""
    try:
        found: list[dict[str, Any]] = tomllib.loads(file.read_text())["user"]
        return [{**user, "name": user["name"], "role": user["role"]} for user in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{file} cannot be read: {error!r}") from None
