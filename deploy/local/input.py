"""The input of a work folder: a person's samples and verdicts, remembered once given, or else the demo's.

corpus.toml says what Airflow takes in, and belongs to the person who edits it. input.json remembers what
was given, and the digest of the corpus.toml that was written last, which tells whether it was edited.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.settings.toml import toml_value
from deploy.common import atomic
from deploy.common.errors import InputError
from deploy.local import demo
from deploy.local.update import absolute


@dataclass(frozen=True)
class Input:
    """What an update takes in: absolute paths or URLs, None for none; `is_demo` if the samples are the demo's."""

    samples: str | None
    verdicts: str | None
    is_demo: bool = False


@dataclass(frozen=True)
class Said:
    """The places that a section names, and the file that a person wrote them into."""

    urls: list[str]
    file: Path


@dataclass(frozen=True)
class WorkInput:
    """The input of one corpus: its settings, what is remembered, the corpus, and where the demo goes."""

    config: Path
    record: Path
    corpus: Path
    demo: Path

    def settle(
        self, samples: str | None, verdicts: str | None, render: Callable[[Input], str]
    ) -> None:
        """Write corpus.toml for what is given, remembered or else the demo's; print what is used.

        A corpus.toml that was edited by hand stays as it is. Raises `InputError` if it, or a file of conf.d beside
        it, says something else than what is given, and if a corpus is there whose input nobody has told.
        """
        options = (("samples", samples), ("verdicts", verdicts))
        given = {name: absolute(url) for name, url in options if url}
        known = self._remembered()
        edited = self.config.is_file() and known.get("written") != _digest(self.config.read_text())
        said = self._said(edited)
        for name, url in given.items():
            if name in said and said[name].urls != [url]:
                raise InputError(
                    f"{said[name].file} was written by hand and says {_SETTINGS[name]} = "
                    f"{json.dumps(said[name].urls)}, which {name.upper()} does not change. Edit that line, then "
                    f"start again without {name.upper()}."
                )
        if not edited:
            told = bool(known) or "samples" in given or "samples" in said
            if not told and _holds_something(self.corpus):
                raise InputError(
                    f"{self.corpus} holds a corpus, and neither {self.config} nor {self.record} tells where its "
                    "samples are from. Give SAMPLES=... VERDICTS=..., or choose another folder with WORK=DIR."
                )
            wanted = {name: given.get(name) or known.get(name) for name in _SECTIONS}
            own = wanted["samples"] or "samples" in said
            text = render(
                Input(wanted["samples"], wanted["verdicts"]) if own else self._demo(wanted)
            )
            atomic.write_if_other(
                self.record, json.dumps({**wanted, "written": _digest(text)}, indent=1) + "\n"
            )
            atomic.write_if_other(self.config, text)
        self._tell(edited)

    def _demo(self, wanted: dict[str, str | None]) -> Input:
        samples, made_up = demo.fetch(self.demo)
        return Input(str(samples), wanted["verdicts"] or str(made_up), is_demo=True)

    def _remembered(self) -> dict[str, Any]:
        """What input.json holds; nothing if it does not exist. Raises `InputError`."""
        try:
            return dict(json.loads(self.record.read_text()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.record} cannot be read ({error}): remove it, and give SAMPLES and VERDICTS again."
            ) from None

    def _said(self, edited: bool) -> dict[str, Said]:
        """What a person's own files say; an edited corpus.toml that lacks a section says that it is empty."""
        said = {}
        if edited:
            said = {name: Said([], self.config) for name in _SECTIONS} | _urls(self.config)
        for file in sorted((self.config.parent / "conf.d").glob("*.toml")):
            said |= _urls(file)
        return said

    def _tell(self, edited: bool) -> None:
        said = _urls(self.config) | self._said(edited)
        samples, verdicts = (
            ", ".join(said[name].urls if name in said else ()) or "none" for name in _SECTIONS
        )
        if samples == str(self.demo / "samples"):
            samples += " (the demo's)"
        told = f"Input: samples {samples}; verdicts {verdicts}"
        print(told + (f" (from {self.config}, edited by hand)." if edited else "."), flush=True)


_SECTIONS = {"samples": "sources", "verdicts": "verdicts"}
_SETTINGS = {"samples": "[sources] urls", "verdicts": "[[verdicts.feeds]] place"}


def feeds(verdicts: str | None) -> str:
    """The part of corpus.toml that names a person's verdicts: whoever gives them answers for all that they say."""
    if verdicts is None:
        return ""
    place = toml_value(verdicts, "verdicts.feeds.place")
    return (
        "# Whom its rows may speak for: here anyone, since the file is yours.\n"
        f'[[verdicts.feeds]]\nplace = {place}\nreporter = ["*"]\n'
    )


def is_new_input(record: Path, given: Mapping[str, str | None]) -> bool:
    """Whether what is given for `samples` and `verdicts` is other than what a record remembers."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    return any(url and absolute(url) != known.get(name) for name, url in given.items())


def _urls(file: Path) -> dict[str, Said]:
    """The input that a settings file names. Raises `InputError`."""
    try:
        tables = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    found = {}
    for name, section in _SECTIONS.items():
        table = tables.get(section)
        urls = table.get("urls") if isinstance(table, dict) else None
        if name == "verdicts" and isinstance(table, dict):
            tables_of_feeds = table.get("feeds")
            if isinstance(tables_of_feeds, list):
                urls = [feed.get("place") for feed in tables_of_feeds if isinstance(feed, dict)]
        if isinstance(urls, list):  # what else it may be is refused where settings are read
            found[name] = Said([str(url) for url in urls], file)
    return found


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
