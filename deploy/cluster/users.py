"""Who may log in to a cluster's UI, and where their passwords are."""

from __future__ import annotations

import tomllib

from deploy.cluster.place import Place

ADMIN = "admin"


def url(place: Place) -> str:
    return f"http://127.0.0.1:{place.settings()['CORPUS_API_PORT']}"


def login(place: Place) -> tuple[str, str, str]:
    """The API's address, and an administrator's name and password."""
    return url(place), ADMIN, (place / "users" / "passwords" / ADMIN).read_text().strip()


def users(place: Place) -> list[str]:
    """Lines for a person: the address, the users, and where passwords are, but no password."""
    folder = place / "users"
    listed = tomllib.loads((folder / "users.toml").read_text())["user"]
    names = ", ".join(f"{user['name']} ({user['role']})" for user in listed)
    return [f"  {url(place)}", f"  users {names}; their passwords: {folder / 'passwords'}"]
