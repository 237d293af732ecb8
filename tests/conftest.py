"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus import features


@pytest.fixture(scope="module", autouse=True)
def _feature_sets_of_the_product() -> Iterator[None]:
    """A feature set that the tests of one module make is not there for another's."""
    before = dict(features._SETS)
    yield
    features._SETS.clear()
    features._SETS.update(before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes started meanwhile take SIGINT and SIGHUP, also if these tests run in a shell's background or by nohup."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast` leave out modules that are not marked, whose imports alone take long."""
    if config.option.markexpr != "fast" or collection_path.suffix != ".py":
        return None
    return True if "mark.fast" not in collection_path.read_text() else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: who has started an Airflow mostly waits for it."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest first: the rest goes on beside it, and nobody waits for it at the end."""

    def limit(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return mark.args[0] if mark else 0.0

    items.sort(key=limit, reverse=True)
