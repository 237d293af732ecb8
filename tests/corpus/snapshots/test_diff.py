from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.errors import NotFoundError
from corpus.services.context import Context
from corpus.snapshots.diff import Change, diff
from tests.support.building import TINY, build, build_two, context, sha


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return build_two(tmp_path_factory.mktemp("diff") / "corpus")


def test_every_kind_of_change(made: Context) -> None:
    found = diff(made.store, "one", "two")
    assert found.added == sorted(sha(n) for n in range(20, 30))
    assert found.removed == []
    assert found.relabelled == [Change(sha256=sha(0), was="malicious", now="unknown")]
    assert found.refamilied == [Change(sha256=sha(6), was=None, now="zbot")]
    assert found.moved == [Change(sha256=sha(1), was="train", now="test")]
    assert found.regrouped == [Change(sha256=sha(4), was=sha(4), now=sha(8))]
    assert found.re_extracted == {TINY.name: [sha(5)]}
    assert found.counts == {
        "added": 10, "removed": 0, "relabelled": 1, "refamilied": 1, "moved": 1, "regrouped": 1,
        "re_extracted": {TINY.name: 1},
    }  # fmt: skip
    assert not found.same


def test_the_other_way_round(made: Context) -> None:
    found = diff(made.store, "latest", "one")
    assert (found.a, found.b) == ("two", "one")
    assert found.removed == sorted(sha(n) for n in range(20, 30))
    assert found.relabelled == [Change(sha256=sha(0), was="unknown", now="malicious")]


def test_with_itself_there_is_no_difference(made: Context) -> None:
    found = diff(made.store, "two", "two")
    assert found.same
    assert not any(n for name, n in found.counts.items() if name != "re_extracted")


def test_it_is_json(made: Context) -> None:
    content = diff(made.store, "one").model_dump(mode="json", by_alias=True)
    assert json.loads(json.dumps(content)) == content
    assert content["relabelled"] == [{"sha256": sha(0), "from": "malicious", "to": "unknown"}]


def test_a_vector_that_came_late(tmp_path: Path) -> None:
    from corpus.store.staging import Update
    from tests.support.building import VECTORS, release, vector_row

    made = context(tmp_path)
    build(made, "one", range(4), failed=[3])
    update = Update.open(made.store, "two")
    update.write(VECTORS, [vector_row(3)])
    release(made, update)
    assert diff(made.store, "one", "two").re_extracted == {TINY.name: [sha(3)]}


def test_no_such_snapshot(made: Context) -> None:
    with pytest.raises(NotFoundError, match="three"):
        diff(made.store, "one", "three")
