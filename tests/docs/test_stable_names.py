"""docs/develop/stable-names.md names what the code, the DAGs and the cluster's files name, and no more."""

from __future__ import annotations

import re

import pytest

from tests.support import stable_names

AGAIN = "run `make docs`, and look at what a rename breaks"


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return stable_names.blocks()


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    blocks: dict[str, str] = {}

    def keep(name: str, content: str) -> str:
        blocks[name] = content
        return content

    stable_names.replaced(stable_names.PAGE.read_text(), keep)
    return blocks


def names(block: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", block))


def test_every_name_that_is_found_is_on_the_page(found: dict[str, str], page: dict[str, str]):
    missing = {n: sorted(names(found[n]) - names(page.get(n, ""))) for n in found}
    assert not {name: gone for name, gone in missing.items() if gone}, AGAIN


def test_every_name_on_the_page_is_found(found: dict[str, str], page: dict[str, str]):
    surplus = {n: sorted(names(page[n]) - names(found.get(n, ""))) for n in page}
    assert not {name: more for name, more in surplus.items() if more}, AGAIN


def test_the_page_is_as_it_is_made(found: dict[str, str], page: dict[str, str]):
    assert page == found, AGAIN


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ("serialized", "operators.scheduling.alerts.update_is_late"),
        ("serialized", "operators.scheduling.deadlines.RunQueued"),
        ("serialized", "operators.publish.PublishSnapshotOperator"),
        ("dags", "corpus_snapshot"),
        ("called", "operators.reaper"),
        ("called", "operators.releases.check"),
        ("called", "operators.releases.bundle.ReleaseBundle"),
        ("tables", "reported_at"),
        ("keys", "snapshots/<id>/manifest.json"),
        ("keys", "format.json"),
        ("settings", "labels.precedence"),
        ("labels", "corpus.run_uuid"),
    ],
)
def test_each_place_is_really_read(found: dict[str, str], block: str, name: str):
    """What finds nothing any more would let every rename pass."""
    assert name in names(found[block])
