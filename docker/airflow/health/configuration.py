"""Airflow's own settings, as its environment gives them; importing Airflow would cost seconds a check."""

from __future__ import annotations

import os
import shlex
import subprocess

from failures import Failure


def setting(section: str, key: str, default: str | None = None) -> str:
    """The value of AIRFLOW__SECTION__KEY, or what the command in ..._CMD prints. Raises `Failure`."""
    name = f"AIRFLOW__{section}__{key}".upper()
    if value := os.environ.get(name):
        return value
    if command := os.environ.get(f"{name}_CMD"):
        done = subprocess.run(shlex.split(command), capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{name}_CMD ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()
    if default is None:
        raise Failure(f"neither {name} nor {name}_CMD is set")
    return default
