"""What parent and child say to each other: frames of a JSON header and a body of raw bytes.

    frame   header length (uint32), body length (uint64), little-endian; then header, then body
    request header {}, body = the file
    answer  header {status, detail, peak, value, blobs}, body = the blobs one after the other

A value is anything JSON can hold; `bytes` and numeric numpy arrays may stand anywhere in it, and
travel as blobs, as long texts do: the header has null in their place, and their path, size, dtype and
shape. Nothing is ever unpickled: the child has read hostile bytes, so its answers are hostile too.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any

PREFIX = struct.Struct("<IQ")
# Characters from which escaping a text for JSON, and reading it back, costs more than a blob.
_LONG = 1_000
# Bytes of a body up to which it is sent together with its header.
_SMALL = 32_768
# A text may hold what is no Unicode, as JSON can.
_TEXT = ("utf-8", "surrogatepass")


class BadAnswerError(Exception):
    """An answer that no sound child gives."""


def pack(header: dict[str, Any], blobs: list[bytes]) -> list[bytes]:
    """The parts of one frame, to be written one after the other: a small frame is one part."""
    encoded = json.dumps(header).encode()
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
            if node.dtype.kind not in "fiub":
                raise TypeError(f"an array of {node.dtype} cannot leave the sandbox")
            raw = node.astype(node.dtype.newbyteorder("<")).tobytes()
            dtype = node.dtype.newbyteorder("<").str
            described.append(
                {"path": path, "size": len(raw), "dtype": dtype, "shape": list(node.shape)}
            )
            blobs.append(raw)
            return None
        return node

    return walk(value, []), described, blobs


def parse_header(encoded: bytes | bytearray) -> dict[str, Any]:
    """The header of an answer. Raises `BadAnswerError`."""
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError(str(error)) from error
    if not isinstance(header, dict):
        raise BadAnswerError("the header is not an object")
    return header


def join_value(header: dict[str, Any], body: memoryview) -> Any:
    """The value of an answer, its blobs put back in. Raises `BadAnswerError`."""
    value = header.get("value")
    start = 0
    try:
        for blob in header.get("blobs", []):
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
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadAnswerError(f"{type(error).__name__}: {error}") from error
    if start != len(body):
        raise BadAnswerError("sizes of the blobs do not add up")
    return value


def _blob(raw: bytes, blob: dict[str, Any]) -> Any:
    if len(raw) != blob["size"]:
        raise ValueError("a blob is shorter than described")
    if blob.get("text"):
        return raw.decode(*_TEXT)
    if "dtype" not in blob:
        return raw
    import numpy as np

    dtype = np.dtype(str(blob["dtype"]))
    if dtype.kind not in "fiub":
        raise ValueError(f"dtype {dtype}")
    return np.frombuffer(raw, dtype).reshape(blob["shape"])
