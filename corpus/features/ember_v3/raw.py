"""The raw features of a file: what was read of it, before it becomes numbers of a vector."""

from __future__ import annotations

from typing import Any

from corpus.features.ember_v3.authenticode import authenticode
from corpus.features.ember_v3.content import Content
from corpus.features.ember_v3.image import read_image
from corpus.features.ember_v3.strings import strings
from corpus.features.ember_v3.unusual import Unusual

_NO_PE: dict[str, Any] = {
    "header": {},
    "section": {},
    "imports": {},
    "exports": [],
    "datadirectories": [],
    "richheader": [],
}


def measure(data: bytes) -> dict[str, Any]:
    """Raw features by group, those that are counts as numpy arrays.

    Raises `BadInput` for an empty file, and whatever the definition fails with on a broken one.
    """
    content = Content(data)
    try:
        image = read_image(data, content.entropy_of)
    except Unusual:
        from corpus.features.ember_v3.pefile_path import read_image_by_pefile

        image = read_image_by_pefile(data, content.entropy_of)
    raw = {
        "general": content.general(image is not None),
        "histogram": content.counts,
        "byteentropy": content.byte_entropy,
        "strings": strings(data),
    }
    if image is None:
        return raw | _NO_PE | {"authenticode": {}, "pefilewarnings": []}
    signed = authenticode(data, image.pop("time_stamp"))
    warnings = image.pop("pefilewarnings") | _share_warnings(content)
    return raw | image | {"authenticode": signed, "pefilewarnings": sorted(warnings)}


def _share_warnings(content: Content) -> set[str]:
    shares = content.counts / content.size
    shares[0] = 1 if shares[0] > 0.5 else 0
    return {"Byte 0x..."} if (shares > 0.15).any() else set()


def raw(data: bytes) -> dict[str, Any]:
    """Raw features by group, as JSON can hold them."""
    measured = measure(data)
    for group in ("histogram", "byteentropy"):
        measured[group] = measured[group].tolist()
    return measured
