"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from corpus import features


@pytest.fixture(scope="module", autouse=True)
def _feature_sets_of_the_product() -> Iterator[None]:
    """A feature set that the tests of one module make is not there for another's."""
    before = dict(features._SETS)
    yield
    features._SETS.clear()
    features._SETS.update(before)
