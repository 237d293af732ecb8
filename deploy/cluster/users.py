"""Who may log in to a cluster's UI, and where their passwords are."""

from __future__ import annotations

from deploy.cluster.place import Place

ADMIN = "admin"


def url(place: Place) -> str:
    return f"http://127.0.0.1:{place.settings()['CORPUS_API_PORT']}"


def login(place: Place) -> tuple[str, str, str]:
    """The API's address, and an administrator's name and password."""
    password = (place / "secrets" / f"{ADMIN}_password").read_text()
    return url(place), ADMIN, password


def users(place: Place) -> list[str]:
    """Lines for a person: the address, the users, and where passwords are, but no password."""
    return [f"  {url(place)}", f"  user {ADMIN}, password in {place / 'secrets'}/{ADMIN}_password"]
