from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.contract.registry import SERVICES
from corpus.contract.requests import PublishRequest, ValidateRequest
from corpus.errors import ConflictError, NotFoundError
from corpus.maintenance.abandon import abandon
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.services.publish import service
from corpus.services.publish.service import publish
from corpus.services.validate.service import validate
from corpus.snapshots.verify import verify
from corpus.store.claims import claim_of
from corpus.store.snapshots import Snapshot
from corpus.store.staging import Update
from tests.support.building import build, context, stage


@pytest.fixture
def made(tmp_path: Path) -> Context:
    return context(tmp_path / "corpus")


def staged(made: Context, name: str, numbers: range) -> None:
    stage(Update.open(made.store, name, made.run), numbers)
    validate(ValidateRequest(update=name), made)


class Killed(BaseException):
    """Ends a publication where it stands, as a killed process does."""


def killed_at(made: Context, monkeypatch: pytest.MonkeyPatch, step: str, name: str) -> None:
    """Publish an update, killed just before a step of the publication."""

    def kill(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(service, step, kill)
        with pytest.raises(Killed):
            publish(PublishRequest(update=name), made)


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_goes_on_with_it(made: Context, tmp_path: Path, name: str) -> None:
    staged(made, "u", range(4))
    before = made.store.list("staging")
    report = abandon(made.store, "u")
    assert (report.update, report.freed) == ("u", None)
    (tmp_path / "in").mkdir()
    own = {"sources": [str(tmp_path / "in")]} if name == "collect" else {}
    with pytest.raises(ConflictError, match="update u was abandoned") as caught:
        run_service(SERVICES[name].request(update="u", **own), made)
    assert caught.value.exit_status == 5
    assert made.store.list("staging") == sorted([*before, "staging/u/end.json"])


def test_twice_is_as_once(made: Context) -> None:
    Update.open(made.store, "u")
    assert abandon(made.store, "u") == abandon(made.store, "u")


@pytest.mark.parametrize("name", ["u", "../staging/v", ""])
def test_an_update_that_was_never_begun(made: Context, name: str) -> None:
    Update.open(made.store, "v")
    with pytest.raises(NotFoundError, match="there is no update"):
        abandon(made.store, name)


def test_a_published_one_is_refused(made: Context) -> None:
    build(made, "one", range(4))
    with pytest.raises(ConflictError, match="is published"):
        abandon(made.store, "one")
    assert publish(PublishRequest(update="one"), made).snapshot == "one"
    made.store.delete("staging/one")
    with pytest.raises(ConflictError, match="is published"):
        abandon(made.store, "one")


def test_a_claim_that_nothing_was_committed_under_is_freed(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(made, "one", range(4))
    staged(made, "u", range(4, 8))
    staged(made, "other", range(8, 12))
    killed_at(made, monkeypatch, "settle", "u")
    with pytest.raises(ConflictError, match="u is publishing snapshot number 2"):
        publish(PublishRequest(update="other"), made)
    assert abandon(made.store, "u").freed == 2
    assert publish(PublishRequest(update="other"), made).sequence == 2
    assert [snapshot.id for snapshot in Snapshot.every(made.store)] == ["one", "other"]
    assert verify(made.store).findings == []


def test_once_rows_may_be_committed_it_is_too_late(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(made, "u", range(4))
    killed_at(made, monkeypatch, "_write", "u")
    with pytest.raises(ConflictError, match="has begun to commit") as caught:
        abandon(made.store, "u")
    assert "corpus publish --update u" in str(caught.value)
    assert publish(PublishRequest(update="u"), made).sequence == 1
    assert verify(made.store).findings == []


def test_a_publication_under_way_loses_against_it(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Abandoned, and its number given away, after it had claimed that and before it committed."""
    staged(made, "u", range(4))
    staged(made, "other", range(4, 8))
    settle = service.settle

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(service, "settle", settle)
        assert abandon(made.store, "u").freed == 1
        publish(PublishRequest(update="other"), made)
        return settle(*arguments)

    monkeypatch.setattr(service, "settle", overtaken)
    with pytest.raises(ConflictError, match="update u was abandoned"):
        publish(PublishRequest(update="u"), made)
    claim = claim_of(made.store, 1)
    assert claim is not None
    assert claim["update"] == "other"
    assert [snapshot.id for snapshot in Snapshot.every(made.store)] == ["other"]
    assert verify(made.store).findings == []


def test_a_claim_made_after_it_is_given_back_or_freed_by_doing_it_again(
    made: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(made, "u", range(4))
    staged(made, "other", range(4, 8))
    claim = service._claim

    def overtaken(*arguments: Any) -> Any:
        abandon(made.store, "u")
        return claim(*arguments)

    monkeypatch.setattr(service, "_claim", overtaken)
    killed_at(made, monkeypatch, "settle", "u")
    monkeypatch.setattr(service, "_claim", claim)
    with pytest.raises(ConflictError, match="corpus abandon u"):
        publish(PublishRequest(update="other"), made)
    assert abandon(made.store, "u").freed == 1
    assert publish(PublishRequest(update="other"), made).sequence == 1
    assert verify(made.store).findings == []
