"""How tests of the whole system run side by side, and what they add to pytest's own words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.system import turnstile
from tests.system.cluster.harness_report import FILE, diagnosis, measured, table

HERE = Path(__file__).parent
# Modules that use the one running cluster. What shares a thing that takes long to make runs in one process. A second
# cluster beside it would have no processor left: two cores are busy as it is.
CLUSTER = {
    f"cluster/test_{name}.py"
    for name in (
        *("compose", "faults", "faults_host", "faults_services", "logs", "mark_failed"),
        *("releases", "secrets", "soak", "trials", "update"),
    )
}
# The longest first.
GROUPS = ("the cluster", "package", "soak", "browser", "cluster/reaper")
# The other tests below this folder that use the machine's Docker engine.
ENGINE = {"package/test_host_docker.py"}


def group(file: str) -> str:
    """What runs in one process with a test module, given by its path below this folder."""
    if file in CLUSTER:
        return GROUPS[0]
    folder = file.rpartition("/")[0]
    return folder if folder in GROUPS else file


class BySharing(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole groups. (xdist's own `loadgroup` renames tests, which pytest 9.2 does not let it.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.split("::")[0].removeprefix("tests/system/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return BySharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest group first; a module that uses the cluster unseen would start another one."""

    def rank(item: pytest.Item) -> int:
        name = group(_file(item))
        if name.startswith("cluster/") and "lab" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(
                f"{item.path} uses the cluster, and is not in {__name__}.CLUSTER"
            )
        return GROUPS.index(name) if name in GROUPS else len(GROUPS)

    items.sort(key=rank)


def _file(item: pytest.Item) -> str:
    """A test's module by its path below this folder; empty for others, which may be asked for beside these."""
    below = item.path.is_relative_to(HERE)
    return str(item.path.relative_to(HERE)) if below else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test marked `alone` runs while no other uses the engine. Waiting for that does not count as its time."""
    file = _file(item)
    if item.get_closest_marker("alone"):
        turn = turnstile.alone()
    elif file.startswith("cluster/") or file in ENGINE:
        turn = turnstile.shared()
    else:
        turn = nullcontext()
    with turn:
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
        for line in [*table(rows), f"As JSON, a line each: {FILE}"]:
            terminalreporter.write_line(line)
