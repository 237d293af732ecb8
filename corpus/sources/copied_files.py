"""What a service that works in a slice reads there, instead of the sources and the base."""

from __future__ import annotations

from typing import IO, Any

from corpus.sources.files import Files, FileStat
from corpus.store.object_store import Store

# No corpus has a folder of that name: it tells a slice from one.
MARK = "slice"
SOURCES = f"{MARK}/sources.json"


def source_key(number: int) -> str:
    return f"{MARK}/sources/{number}"


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
