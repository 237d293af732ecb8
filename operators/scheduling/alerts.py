"""What happens when a run is late."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


async def update_is_late(hours: int, context: dict[str, Any] | None = None, **_: Any) -> None:
    """Say it in the triggerer's log; called by Airflow once a run misses its deadline."""
    run = (context or {}).get("dag_run") or {}
    log.error(
        "Corpus update %s of %s is not done %d hours after it was queued. The last snapshot stands "
        "as it was; the DAG's page says what to do for each task.",
        run.get("dag_run_id") or run.get("run_id"),
        run.get("dag_id"),
        hours,
    )
