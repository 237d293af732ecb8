"""Secrets are in their files and nowhere else, whatever ran: one is planted, and looked for."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.system.cluster.harness import Lab
from tests.system.cluster.harness_secrets import folder, leaks, places
from tests.system.cluster.secrets import forms

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def planted(lab: Lab) -> Iterator[dict[str, str]]:
    """A key of the store and an archive password, and what the cluster has for itself."""
    # Of characters that URLs quote, so that the forms differ.
    own = {
        name: f"planted/{name}+{secrets.token_hex(12)}@=?"
        for name in ("a key of the store", "an archive password")
    }
    key, password = map(json.dumps, own.values())
    place = lab.cluster.place
    # A worker sees the second, and hands it to the sandbox, but never the first.
    of_store = place / "secrets" / "corpus" / "planted.toml"
    of_archives = place / "settings" / "conf.d" / "20-planted.toml"
    of_store.write_text(f"[store.options]\nsecret = {key}\n")
    of_archives.write_text(f"[sources]\narchive_passwords = [{password}]\n")
    files = [*(place / "secrets").iterdir(), *(place / "users" / "passwords").iterdir()]
    yield own | {file.name: file.read_text() for file in files if file.is_file()}
    of_store.unlink()
    of_archives.unlink()


def test_a_planted_secret_is_nowhere(lab: Lab, planted: dict[str, str], expected: str):
    update = lab.update()
    # What reads hostile bytes sees the scratch folder while it runs. Passwords of archives it needs.
    hidden = {name: value for name, value in planted.items() if name != "an archive password"}
    scratch = lab.cluster.place / "scratch"
    looked = set()
    while update.state() not in ("success", "failed"):
        seen = {one.id for one in lab.watch.live(update.run_id)}
        content = folder(scratch)
        assert leaks(hidden, iter([("the scratch folder of a live task", content)])) == []
        if b".toml" in content:
            looked |= seen
    assert looked
    update.must_succeed(expected)
    found = dict(places(lab))
    assert leaks(planted, iter(found.items())) == []
    # It did look: what is no secret is there.
    for place in ("the dump of Postgres", "the folder logs"):
        assert update.run_id.encode() in found[place], place
    assert leaks(planted, iter([("the corpus", folder(update.root))])) == []


@pytest.mark.parametrize("before", ["", "x", "xy", "https://user:"])
def test_a_secret_is_found_in_each_form(before: str):
    secret = "pass/word+with=odd?characters"
    for text in (
        before + secret,
        before + quote(secret, safe=""),
        base64.b64encode(f"{before}{secret}@host".encode()).decode(),
        base64.urlsafe_b64encode(f"{before}{secret}".encode()).decode(),
        f"{before}{secret}".encode().hex(),
        json.dumps(before + secret),
    ):
        assert any(form in text for form in forms(secret)), text
