"""The profile of ember-v3."""

from __future__ import annotations

import pytest

from bench.common.stopwatch import Stopwatch
from corpus import features
from tests.support.executables import small_pe


@pytest.fixture
def stopwatch():
    made = Stopwatch()
    yield made
    made.close()


def test_each_function_of_a_part_is_where_the_profile_looks_for_it(stopwatch):
    # One that is not there would count as rest.
    assert stopwatch.unknown == []


def test_the_parts_are_timed_where_they_are_called(stopwatch):
    ember, data = features.get("ember-v3"), small_pe()
    assert stopwatch.run(ember.vector, data).tobytes() == ember.vector(data).tobytes()
    for part in ("strings", "header", "section", "authenticode", "numbers from raw features"):
        assert stopwatch.spent[part] > 0
