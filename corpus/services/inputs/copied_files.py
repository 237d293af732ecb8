"""Source files as `stage_in` found them: their copies in a workspace."""

from __future__ import annotations

from typing import IO, Any

from corpus.places.places import Places
from corpus.services.inputs.layout import SOURCES, source_key
from corpus.sources.files import Files, FileStat
from corpus.store.object_store import Store


class CopiedFiles(Files):
    """Reads the copies under the locations of the originals.

    If an original could not be read when it was to be copied, `stat` and `open` raise that error again,
    so that the file's reject says the same as without a workspace.
    """

    def __init__(self, store: Store):
        super().__init__(Places())
        self._store = store
        self._found: dict[str, dict[str, Any]] = store.read_json(SOURCES)

    def stat(self, location: str) -> FileStat:
        """Return size and version of an original. Raises `OSError` as reading it did."""
        found = self._sound(location)
        return FileStat(found["size"], found["version"], None)

    def open(self, location: str) -> IO[bytes]:
        """Open the copy of an original. Raises `OSError` as reading the original did."""
        return self._store.open(source_key(self._sound(location)["copy"]))

    def _sound(self, location: str) -> dict[str, Any]:
        found = self._found[location]
        if "error" in found:
            number, text = found["errno"], found["error"]
            kind = FileNotFoundError if found["gone"] else OSError
            raise kind(number, text) if number else kind(text)
        return found
