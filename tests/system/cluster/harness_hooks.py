"""What tests of the cluster add to pytest's own words; conftest.py imports it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.system.cluster.harness_report import FILE, diagnosis, measured, table


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    report = (yield).get_result()
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and lab is not None and lab.last is not None:
        report.sections.append(("the cluster, and its last update", diagnosis(lab.last)))


def pytest_sessionstart() -> None:
    FILE.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if rows := measured():
        terminalreporter.write_sep("=", "what faults cost")
        for line in [*table(rows), f"As JSON: {FILE}"]:
            terminalreporter.write_line(line)
