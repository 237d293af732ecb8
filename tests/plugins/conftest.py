from __future__ import annotations

import pytest

from tests.support import airflow_home


@pytest.fixture(scope="session", autouse=True)
def airflow_db() -> None:
    airflow_home.migrate()
