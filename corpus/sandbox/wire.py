"""What parent and child say to each other: frames of a JSON header and a body of raw bytes.

    frame   header length (uint32), body length (uint64), little-endian; then header, then body
    request header {}, body = the file
    answer  header {status, detail, peak, value, blobs}, body = the blobs one after the other

A value is anything JSON can hold; `bytes` and numeric numpy arrays may stand anywhere in it, and
travel as blobs, as long texts do: the header has null in their place, and their path, size, dtype and
shape. Nothing is ever unpickled: the child has read hostile bytes, so its answers are hostile too. A
header has at most 64 KiB, so that reading it takes next to no time whatever it says, and its blobs are
as large together as the body. What is larger than a header travels as `bytes`, a text or an array.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any

PREFIX = struct.Struct("<IQ")
HEADER_BYTES = 65_536
# Of lists and objects in each other: more is no answer of ours, and too much for those who read it.
_DEPTH = 32
# Of what is counted in bytes: tables keep such numbers in 64 bits with a sign.
_SIZES = 1 << 63
_DTYPES = frozenset(
    ("|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iu" for size in (2, 4, 8)))
) | {"<f2", "<f4", "<f8"}
# Characters from which escaping a text for JSON, and reading it back, costs more than a blob.
_LONG = 1_000
# Bytes of a body up to which it is sent together with its header.
_SMALL = 32_768
# A text may hold what is no Unicode, as JSON can.
_TEXT = ("utf-8", "surrogatepass")


class BadAnswerError(Exception):
    """An answer that no sound child gives."""


class TooLargeError(ValueError):
    """A value that does not fit into a header."""


def pack(header: dict[str, Any], blobs: list[bytes]) -> list[bytes]:
    """The parts of one frame, to be written one after the other: a small frame is one part.

    Raises `TooLargeError`.
    """
    encoded = json.dumps(header).encode()
    if len(encoded) > HEADER_BYTES:
        raise TooLargeError(
            f"an answer of {len(encoded)} bytes beside its texts and arrays; "
            f"{HEADER_BYTES} are allowed"
        )
    size = sum(map(len, blobs))
    head = PREFIX.pack(len(encoded), size) + encoded
    # Each part that is written wakes the other side, which costs more than copying these few bytes.
    return [b"".join([head, *blobs])] if size <= _SMALL else [head, *blobs]


def split_value(value: Any) -> tuple[Any, list[dict[str, Any]], list[bytes]]:
    """A value with its blobs taken out: what JSON holds, the descriptions, the blobs."""
    described: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    # An array can only come from a function that has imported numpy.
    numpy = sys.modules.get("numpy")

    def walk(node: Any, path: list[str | int]) -> Any:
        if len(path) > _DEPTH:
            raise TooLargeError(f"an answer of more than {_DEPTH} lists or objects in each other")
        if isinstance(node, dict):
            return {key: walk(item, [*path, key]) for key, item in node.items()}
        if isinstance(node, list | tuple):
            return [walk(item, [*path, index]) for index, item in enumerate(node)]
        if isinstance(node, str) and len(node) >= _LONG:
            encoded = node.encode(*_TEXT)
            described.append({"path": path, "size": len(encoded), "text": True})
            blobs.append(encoded)
            return None
        if isinstance(node, bytes):
            described.append({"path": path, "size": len(node)})
            blobs.append(node)
            return None
        if numpy is not None and isinstance(node, numpy.ndarray):
            dtype = node.dtype.newbyteorder("<").str
            if dtype not in _DTYPES:
                raise TypeError(f"an array of {node.dtype} cannot leave the sandbox")
            raw = node.astype(dtype).tobytes()
            described.append(
                {"path": path, "size": len(raw), "dtype": dtype, "shape": list(node.shape)}
            )
            blobs.append(raw)
            return None
        return node

    return walk(value, []), described, blobs


def parse_header(encoded: bytes | bytearray, body_size: int) -> dict[str, Any]:
    """The header of an answer with a body of that size: its `status` (text), `detail` (text), `peak`
    (bytes) and `blobs` are what they should be. Raises `BadAnswerError`.
    """
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError("the header is no JSON") from error
    if not isinstance(header, dict):
        raise BadAnswerError("the header is not an object")
    header = {"status": None, "detail": "", "peak": None, "blobs": [], **header}
    if header["status"] not in ("ok", "memory", "error"):
        raise BadAnswerError("it has no status")
    if not _is_size(header["peak"]) or not isinstance(header["detail"], str):
        raise BadAnswerError("its detail is no text, or its peak no size")
    if not _is_flat(header.get("value"), _DEPTH):
        raise BadAnswerError("its value is too deep")
    blobs = header["blobs"]
    if not isinstance(blobs, list) or not all(map(_is_described, blobs)):
        raise BadAnswerError("a blob is not described")
    if sum(blob["size"] for blob in blobs) != body_size:
        raise BadAnswerError("sizes of the blobs do not add up")
    return header


def join_value(header: dict[str, Any], body: memoryview) -> Any:
    """The value of an answer, its blobs put back in. Raises `BadAnswerError`."""
    value = header.get("value")
    start = 0
    try:
        for blob in header["blobs"]:
            item = _blob(bytes(body[start : start + blob["size"]]), blob)
            start += blob["size"]
            if not blob["path"]:
                value = item
                continue
            *parents, last = blob["path"]
            node: Any = value
            for step in parents:
                node = node[step]
            node[last] = item
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise BadAnswerError("a blob is not what its description says") from error
    return value


def _blob(raw: bytes, blob: dict[str, Any]) -> Any:
    if blob.get("text"):
        return raw.decode(*_TEXT)
    if "dtype" not in blob:
        return raw
    import numpy as np

    if blob["dtype"] not in _DTYPES:
        raise ValueError("dtype")
    return np.frombuffer(raw, blob["dtype"]).reshape(blob["shape"])


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < _SIZES


def _is_described(blob: Any) -> bool:
    return (
        isinstance(blob, dict)
        and _is_size(blob.get("size"))
        and isinstance(blob.get("path"), list)
        and all(type(step) in (str, int) for step in blob["path"])
    )


def _is_flat(node: Any, depth: int) -> bool:
    """Whether no more than `depth` lists or objects lie in each other."""
    if isinstance(node, dict):
        node = list(node.values())
    if not isinstance(node, list):
        return True
    return depth > 0 and all(_is_flat(item, depth - 1) for item in node)
