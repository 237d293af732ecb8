"""The raw features of a file: what was read of it, before it becomes numbers of a vector."""

from __future__ import annotations

from typing import Any

from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.kernels.strings import strings
from corpus.features.ember_v3.pe.image import read_image
from corpus.features.ember_v3.pe.imports import imports_group
from corpus.features.ember_v3.pe.unusual import UnusualError
from corpus.features.ember_v3.pefile_compat.format_warnings import kinds
from corpus.features.ember_v3.signature.authenticode import authenticode

__all__ = ["NO_PE", "as_json", "examine", "measure", "raw", "share_warnings"]

NO_PE: dict[str, Any] = {
    "header": {},
    "section": {},
    "imports": {},
    "exports": [],
    "datadirectories": [],
    "richheader": [],
    "authenticode": {},
    "pefilewarnings": [],
}
"""The raw features of a PE file's structure if there is none."""


def examine(data: bytes) -> tuple[Content, dict[str, Any] | None]:
    """What the bytes say, and what `image.read_image` finds, by whichever reader it takes.

    Raises `BadInputError` for an empty file, and whatever the definition fails with on a broken one.
    """
    content = Content(data)
    try:
        return content, read_image(data, content.entropy_of)
    except UnusualError:
        from corpus.features.ember_v3.pefile_compat.fallback import read_image_by_pefile

        return content, read_image_by_pefile(data, content.entropy_of)


def measure(data: bytes) -> dict[str, Any]:
    """Raw features by group, those that are counts as numpy arrays. Raises as `examine`."""
    content, image = examine(data)
    raw = {
        "general": content.general(image is not None),
        "histogram": content.counts,
        "byteentropy": content.byte_entropy,
        "strings": strings(data),
    }
    if image is None:
        return raw | NO_PE
    signed = authenticode(data, image.pop("time_stamp"))
    image["imports"] = imports_group(image["imports"])
    image["pefilewarnings"] = sorted(kinds(image["pefilewarnings"]) | share_warnings(content))
    return raw | image | {"authenticode": signed}


def share_warnings(content: Content) -> set[str]:
    """pefile's warning of bytes that are too large a part of the file."""
    shares = content.counts / content.size
    shares[0] = 1 if shares[0] > 0.5 else 0
    return {"Byte 0x..."} if (shares > 0.15).any() else set()


def as_json(measured: dict[str, Any]) -> dict[str, Any]:
    """The same features with lists for arrays."""
    return {
        group: value if isinstance(value, dict | list) else value.tolist()
        for group, value in measured.items()
    }


def raw(data: bytes) -> dict[str, Any]:
    """Raw features by group, as JSON can hold them. Raises as `examine`."""
    return as_json(measure(data))
