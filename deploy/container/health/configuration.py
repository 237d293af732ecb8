"""Airflow's own settings, as its environment gives them; importing Airflow would cost seconds a check."""

from __future__ import annotations

import os
import shlex

from deploy.common.errors import DeployError
from deploy.common.shell import run
from deploy.container.health.errors import HealthError


def setting(section: str, key: str, default: str | None = None) -> str:
    """The value of AIRFLOW__SECTION__KEY, or what the command in ..._CMD prints. Raises `HealthError`."""
    name = f"AIRFLOW__{section}__{key}".upper()
    if value := os.environ.get(name):
        return value
    if command := os.environ.get(f"{name}_CMD"):
        try:
            done = run(shlex.split(command))
        except DeployError as error:
            raise HealthError(f"{name}_CMD: {error}") from None
        if done.returncode:
            raise HealthError(
                f"{name}_CMD ended with status {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout.strip()
    if default is None:
        raise HealthError(f"neither {name} nor {name}_CMD is set")
    return default
