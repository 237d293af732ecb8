"""Airflow's configuration of Celery with that backend: what `[celery] celery_config_options` names."""

from __future__ import annotations

from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

# What Celery calls its own backend in a database, before the address.
_CELERYS = "db+"
_OURS = "deploy.container.results.backend:StateBackend+"


def with_states_only(config: dict[str, Any]) -> dict[str, Any]:
    """The same with our backend for results in a database; others (Redis) keep JSON."""
    address = config["result_backend"]
    if not address.startswith(_CELERYS):
        return config
    return {**config, "result_backend": _OURS + address.removeprefix(_CELERYS)}


CONFIG = with_states_only(DEFAULT_CELERY_CONFIG)
