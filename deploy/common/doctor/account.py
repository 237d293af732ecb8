"""Checks of the user who starts something: the name, and the home folder."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from deploy.common.doctor.finding import Answer, ok, wrong

# Where Python looks for the name of the user, in this order, before it asks the system.
_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def user(shell: Mapping[str, str]) -> Answer:
    """Whether the user has a name, without which Airflow does not start; says if a home is missing."""
    uid = os.geteuid()
    try:
        name = (
            next((shell[one] for one in _NAMES if shell.get(one)), None)
            or pwd.getpwuid(uid).pw_name
        )
    except KeyError:
        return wrong(
            f"User {uid} has no name here, and Airflow starts for nobody who has none.",
            "Give it one: export USER=corpus",
        )
    home = shell.get("HOME")
    if home and os.access(home, os.W_OK):
        return ok(f"{name}, home {Path(home)}")
    return ok(f"{name}, whose home {home or ''} cannot be written: caches go below the work folder")


def name_of(uid: int) -> str:
    """The name of a user, or else the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
