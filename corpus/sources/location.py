"""Where a file was found, as text that any table can hold and that leads back to the file.

A location is the absolute path of a local file, or the URL of a remote one. Bytes that are not UTF-8
(Linux allows any in a name), control characters and `%` are percent-encoded, nothing else.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

MEMBER = "::"
_ENCODED = re.compile("[%\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def encode(path: str) -> str:
    """A path as the operating system gives it (PEP 383 surrogates and all) as a location."""
    return _ENCODED.sub(_quote, path)


def decode(location: str) -> str:
    """The path that `encode` made this location of."""
    if "%" not in location:
        return location
    # unquote_to_bytes would encode text outside ASCII the same way, but must not see surrogates.
    return unquote_to_bytes(location.encode()).decode("utf-8", "surrogateescape")


def member(location: str, name: str) -> str:
    """Location of a member called `name` of the archive at `location`."""
    return f"{location}{MEMBER}{encode(name)}"


def _quote(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":
        return f"%{ord(character) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
