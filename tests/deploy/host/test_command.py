"""How the command is typed, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.host.command import VERBS, main
from tests.deploy.host.conftest import Host

pytestmark = pytest.mark.fast

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_and_is_in_the_manual(verb: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    help = capsys.readouterr().out
    page = (REPO / "debian" / "corpus-airflow.8").read_text().replace("\\-", "-")
    assert f"\n.BR {verb} " in page
    for option in ("--dry-run", "--json", "--no-flip"):
        if option in help:
            assert option in page


@pytest.mark.parametrize("words", [(), ("switcch", "1.0.0"), ("switch",), ("prune", "--jsn")])
def test_a_wrong_word_ends_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: corpus-airflow" in capsys.readouterr().err


def test_the_settings_may_come_after_the_verb(host: Host, capsys: pytest.CaptureFixture[str]):
    host("status")
    before = capsys.readouterr().out
    assert main(["status", "--config", str(host.folder / "host.toml")]) == 0
    assert capsys.readouterr().out == before


def test_what_the_disk_says_is_no_traceback(host: Host, capsys: pytest.CaptureFixture[str]):
    host.payload("1.0.0")
    host.releases.folder.write_text("a file")
    assert host("install") == 1
    told = capsys.readouterr().err
    assert told.startswith("corpus-airflow: ")
    assert len(told.splitlines()) == 1


def test_it_needs_nothing_but_python(host: Host):
    host.install("1.0.0")
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); from deploy.host.command import main; sys.exit(main())"
    words = ["--config", str(host.folder / "host.toml"), "releases"]
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", code, *words], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("1.0.0 ")
    # A reader that has enough is no error to speak of.
    piped = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", sys.executable, "-ISB", "-c", code, *words],
        capture_output=True,
        text=True,
    )
    assert piped.stderr == ""
