"""Has the reaper of this container completed a pass lately, and does it reach Airflow's API?"""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.container.health.api import check_public_api
from deploy.container.health.errors import HealthError

# A pass that removes thousands of containers takes minutes.
_PASSES, _SECONDS = 5, 300.0


def check() -> str:
    """When the last pass was, in a line. Raises `HealthError`."""
    check_public_api()
    folder = Path(os.environ.get("CORPUS_DOCKER__SCRATCH", "/var/lib/corpus-airflow/scratch"))
    try:
        # Each container of a reaper touches a file of its own after a pass.
        ages = [time.time() - file.stat().st_mtime for file in folder.glob(".reaper-*")]
    except OSError as error:
        raise HealthError(f"{folder} cannot be read: {error.strerror}") from None
    lately = max(_SECONDS, _PASSES * float(os.environ.get("CORPUS_REAPER__INTERVAL_S", "30")))
    if not ages:
        raise HealthError("no pass was completed yet; its log says why")
    if (age := min(ages)) > lately:
        raise HealthError(f"no pass was completed for {age:.0f} s; its log says why")
    return f"completed a pass {age:.0f} s ago"
