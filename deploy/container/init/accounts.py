"""Who may log in: `users.toml` and the passwords' files, in one folder.

<CORPUS_USERS>/users.toml       [[user]] tables: name, role, and what `_FIELDS` lists
<CORPUS_USERS>/passwords/NAME   the password of each; made if it is missing
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.common import atomic
from deploy.container.init.errors import BadUsersError

FOLDER = Path(os.environ.get("CORPUS_USERS", "/run/corpus-users"))
# Each with the role of Airflow's simple auth manager that comes nearest.
ROLES = {"Viewer": "viewer", "DataScientist": "user", "Admin": "admin", "Reaper": "viewer"}
# The account by which the reaper of a worker host asks which tasks still run.
SERVICE = "reaper"
_FIELDS = {
    "name": str,
    "role": str,
    "email": str,
    "first_name": str,
    "last_name": str,
    # Relative to the folder; by default passwords/NAME.
    "password_file": str,
    # Only for the first login: the user's own password, set in the UI, stays.
    "initial_password": bool,
    "active": bool,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SHORTEST = 8


@dataclass(frozen=True)
class Account:
    name: str
    role: str
    email: str
    first_name: str
    last_name: str
    password_file: Path
    initial_password: bool = False
    active: bool = True

    def password(self) -> str:
        """Raises `BadUsersError` if there is none, or one that is too short."""
        try:
            password = self.password_file.read_text().rstrip("\r\n")
        except FileNotFoundError:
            raise BadUsersError(
                f"{self.password_file} is missing: the password of {self.name}. Run the init job, "
                "which makes it."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadUsersError(f"{self.password_file} cannot be read: {error}") from None
        if len(password) < _SHORTEST:
            raise BadUsersError(
                f"{self.password_file} holds a password of less than {_SHORTEST} characters."
            )
        return password

    def ensure_password(self) -> bool:
        """Make a password if there is none; True if one was made. Raises `BadUsersError`."""
        if self.password_file.exists():
            self.password()
            return False
        try:
            self.password_file.parent.mkdir(mode=0o750, exist_ok=True)
            # The init job gives it to the database next: what a power cut leaves of the two has to agree.
            password = secrets.token_urlsafe(18)
            atomic.write(self.password_file, password, mode=0o440, durable=True)
        except OSError as error:
            raise BadUsersError(
                f"{self.password_file} cannot be written: {error.strerror}. Put a password there, or "
                f"let the user {os.geteuid()} write in that folder."
            ) from None
        return True


def read(folder: Path = FOLDER) -> list[Account]:
    """All accounts of users.toml and the service's; without the file, one administrator. Raises `BadUsersError`."""
    file = folder / "users.toml"
    try:
        tables = tomllib.loads(file.read_text())
    except FileNotFoundError:
        tables = {"user": [{"name": "admin", "role": "Admin"}]}
    except (OSError, ValueError) as error:
        raise BadUsersError(f"{file} cannot be read: {error}") from None
    entries = tables.pop("user", [])
    if tables or not isinstance(entries, list):
        raise BadUsersError(
            f"{file} holds something else than [[user]] tables: {', '.join(tables)}"
        )
    accounts = [_account(entry, file) for entry in entries]
    names = [account.name.lower() for account in accounts]
    if SERVICE not in names:
        accounts.append(_account({"name": SERVICE, "role": "Reaper"}, file))
    for field in ("name", "email"):
        values = [getattr(account, field).lower() for account in accounts]
        if twice := {value for value in values if values.count(value) > 1}:
            raise BadUsersError(
                f"{file} gives one {field} to two users: {', '.join(sorted(twice))}"
            )
    if not any(account.role == "Admin" and account.active for account in accounts):
        raise BadUsersError(f"{file} has no active user with the role Admin.")
    return accounts


def _account(entry: Any, file: Path) -> Account:
    if not isinstance(entry, dict):
        raise BadUsersError(f"{file}: a user is a [[user]] table.")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadUsersError(
            f"{file}: {name!r} is not a user name: letters, digits, and ._@- after the first."
        )
    for field, value in entry.items():
        if field not in _FIELDS:
            raise BadUsersError(
                f"{file}: user {name} has an unknown field {field!r}; there are {', '.join(_FIELDS)}."
            )
        if not isinstance(value, _FIELDS[field]):
            raise BadUsersError(f"{file}: {field} of user {name} is no {_FIELDS[field].__name__}.")
    role = entry.get("role")
    if role not in ROLES:
        raise BadUsersError(
            f"{file}: user {name} has the role {role!r}; there are {', '.join(ROLES)}."
        )
    return Account(
        name=name,
        role=role,
        email=entry.get("email", f"{name.replace('@', '.')}@users.invalid"),
        first_name=entry.get("first_name", name),
        last_name=entry.get("last_name", ""),
        password_file=file.parent / entry.get("password_file", f"passwords/{name}"),
        initial_password=entry.get("initial_password", False),
        active=entry.get("active", True),
    )
