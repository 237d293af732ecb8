"""The raw features of a file, in ember-v3's shape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.corpus_v1.patterns import TABLE
from corpus.features.corpus_v1.warnings import kinds
from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.kernels.strings import strings
from corpus.features.ember_v3.kernels.window_terms import WINDOW
from corpus.features.ember_v3.pe.imports import Library
from corpus.features.ember_v3.raw import NO_PE, as_json, examine, share_warnings
from corpus.features.ember_v3.signature.authenticode import FAILURES, FEATURES, read_signatures
from corpus.features.ember_v3.signature.signed_data import SignedData

__all__ = ["measure", "raw"]

_NIBBLES = 16
# The alignment of a section is a number in four bits, and of the names that ember-v3's reader gives
# it these stand for one bit each.
_ALIGNMENT_BITS = {"ALIGN_1BYTES": 1, "ALIGN_2BYTES": 2, "ALIGN_8BYTES": 4, "ALIGN_128BYTES": 8}


def measure(data: bytes) -> dict[str, Any]:
    """Raw features by group, those that are counts as numpy arrays. Raises as `examine`."""
    content, image = examine(data)
    raw = {
        "general": content.general(image is not None),
        "histogram": content.counts,
        "byteentropy": _byte_entropy(content),
        "strings": strings(data, TABLE),
    }
    if image is None:
        return raw | NO_PE
    signed = _authenticode(data, image.pop("time_stamp"))
    for section in image["section"]["sections"]:
        section["props"] = _with_one_alignment(section["props"])
    image["imports"] = _imports(image["imports"])
    image["pefilewarnings"] = sorted(kinds(image["pefilewarnings"]) | share_warnings(content))
    return raw | image | {"authenticode": signed}


def raw(data: bytes) -> dict[str, Any]:
    """Raw features by group, as JSON can hold them. Raises as `examine`."""
    return as_json(measure(data))


def _byte_entropy(content: Content) -> NDArray[np.int64]:
    """The definition's, but of a file shorter than a window the entropy of the bytes there are."""
    if content.size >= WINDOW:
        return content.byte_entropy
    nibbles = content.counts.reshape(_NIBBLES, -1).sum(axis=1)
    entropy = math.log2(content.size) - math.fsum(
        count * math.log2(count) / content.size for count in nibbles.tolist() if count
    )
    # Rounded: which bin an entropy at the limit of two is in must not depend on a last bit.
    row = min(int(round(4 * entropy, 9)), _NIBBLES - 1)
    joint = np.zeros((_NIBBLES, _NIBBLES), np.int64)
    joint[row] = nibbles
    return joint.ravel()


def _with_one_alignment(properties: list[str]) -> list[str]:
    alignment = sum(bits for name, bits in _ALIGNMENT_BITS.items() if name in properties)
    if not alignment:
        return properties
    kept = [name for name in properties if not name.startswith("ALIGN_")]
    # All four bits are no alignment.
    return [*kept, "ALIGN_MASK" if alignment == 15 else f"ALIGN_{1 << alignment - 1}BYTES"]


def _imports(libraries: Iterable[Library]) -> dict[str, list[str]]:
    """Functions by library. What several descriptors import of one library comes together."""
    found: dict[str, list[str]] = {}
    for library in libraries:
        found.setdefault(library.name.decode(), []).extend(
            symbol.decode() if isinstance(symbol, bytes) else f"ordinal{symbol}"
            for symbol in library.symbols
        )
    return found


def _authenticode(data: bytes, time_stamp: int) -> dict[str, int | float]:
    found: dict[str, int | float] = dict.fromkeys(FEATURES, 0)
    try:
        read_signatures(data, time_stamp, found, SignedData.signers_self_issued)
    except (ValueError, KeyError, *FAILURES):
        found["parse_error"] = 1
    if found["latest_signing_time"]:
        found["signing_time_diff"] = found["latest_signing_time"] - time_stamp
    return found
