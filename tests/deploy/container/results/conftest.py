"""An Airflow of its own, before a test imports Airflow."""

from __future__ import annotations

import tests.support.airflow_home  # noqa: F401
