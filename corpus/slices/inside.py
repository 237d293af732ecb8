"""What a service that works in a slice reads there, instead of the sources and the base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from corpus.errors import BadInput
from corpus.slices.layout import SOURCES, WANTED, source_key, wanted_key
from corpus.sources.files import Files, FileStat
from corpus.store.root import Store
from corpus.store.updates import Update


class CopiedFiles(Files):
    """Source files as `take` met them: their copies, under the locations of the originals.

    What was wrong with a file then is raised again, so that its reject says the same.
    """

    def __init__(self, store: Store):
        super().__init__()
        self._store = store
        self._found: dict[str, dict[str, Any]] = store.read_json(SOURCES)

    def stat(self, location: str) -> FileStat:
        found = self._sound(location)
        return FileStat(found["size"], found["version"], None)

    def open(self, location: str) -> IO[bytes]:
        return self._store.open(source_key(self._sound(location)["copy"]))

    def _sound(self, location: str) -> dict[str, Any]:
        found = self._found[location]
        if "error" in found:
            number, text = found["errno"], found["error"]
            kind = FileNotFoundError if found["gone"] else OSError
            raise kind(number, text) if number else kind(text)
        return found


def shards(update: Update) -> list[str]:
    """The shards whose samples are here to be extracted."""
    keys = update.store.list(WANTED)
    return [key.rsplit("/", 1)[-1].removesuffix(".json") for key in keys]


def needed(update: Update, names: Sequence[str], shard: str) -> dict[str, tuple[str, ...]]:
    """As `corpus.needed.needed`, which looked into the base when the slice was taken.

    Raises `BadInput` for a feature set that it was not taken for.
    """
    taken = update.store.read_json(wanted_key(shard))
    for name in names:
        if name not in taken["feature_sets"]:
            raise BadInput(
                f"this slice was not taken for {name!r}.",
                field="feature_sets",
                hint=f"It was taken for {', '.join(taken['feature_sets'])}.",
            )
    left = {s: tuple(n for n in names if n in sets) for s, sets in taken["samples"].items()}
    return {sha256: sets for sha256, sets in left.items() if sets}
