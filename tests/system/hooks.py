"""How tests of the whole system run side by side, and what they add to pytest's own words."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.system import turnstile
from tests.system.cluster.harness_report import FILE, diagnosis, measured, table

HERE = Path(__file__).parent
# Those that share a thing which takes long to make, so that one process makes it. The longest first.
GROUPS = ("cluster", "package", "browser", "cluster/reaper")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the name of those that must run in one process with it; the others go by file."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(
        key=lambda item: GROUPS.index(name) if (name := _group(item)) in GROUPS else len(GROUPS)
    )


def _group(item: pytest.Item) -> str:
    place = item.path.relative_to(HERE)
    if place.parts[0] == "cluster" and "cluster" not in getattr(item, "fixturenames", ()):
        folder = str(place.parent)
        return folder if folder in GROUPS[1:] else str(place)
    return place.parts[0]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test marked `alone` runs while no other does. Waiting for that does not count as its time."""
    with turnstile.alone() if item.get_closest_marker("alone") else turnstile.shared():
        return (yield)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    report = (yield).get_result()
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and lab is not None and lab.last is not None:
        report.sections.append(("the cluster, and its last update", diagnosis(lab.last)))


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        FILE.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if rows := measured():
        terminalreporter.write_sep("=", "what faults cost")
        for line in [*table(rows), f"As JSON: {FILE}"]:
            terminalreporter.write_line(line)
