"""What the signatures of a PE file say: the group `authenticode`.

The certificate table is found and walked as signify 0.7.1 does, which is not how pefile reads the
same headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from struct import Struct

from corpus.errors import BadInputError
from corpus.features.ember_v3.signature.signed_data import SignedData, read

__all__ = ["FAILURES", "FEATURES", "authenticode", "read_signatures"]

FEATURES = (
    "num_certs", "self_signed", "empty_program_name", "no_countersigner", "parse_error",
    "chain_max_depth", "latest_signing_time", "signing_time_diff",
)  # fmt: skip
"""The raw features of the group, in the order of the columns."""

_UINT16 = Struct("<H")
_UINT32 = Struct("<I")
_DIRECTORY_ENTRY = Struct("<II")
_CERTIFICATE_HEADER = Struct("<IHH")

# Offset of the optional header's NumberOfRvaAndSizes for each magic number; the entry of the
# certificate table, the fifth of eight bytes each, stands 36 bytes behind.
_DIRECTORY_COUNT = {0x10B: 92, 0x20B: 108}
_CERTIFICATE_ENTRY = 36
_CHECKSUM_END = 68

_REVISION_2 = 0x200
_PKCS_SIGNED_DATA = 2

FAILURES = (
    AttributeError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
)
"""What damaged signatures let asn1crypto and signify raise beside errors that the reference expects."""


def authenticode(data: bytes, time_stamp: int) -> dict[str, int | float]:
    """The eight raw features of the group; `time_stamp` is that of the file header.

    Raises `BadInputError` for a signature with which the reference fails, so that there is nothing to be
    equal to.
    """
    raw: dict[str, int | float] = dict.fromkeys(FEATURES, 0)
    try:
        read_signatures(data, time_stamp, raw, SignedData.self_issued)
    except (ValueError, KeyError):
        raw["parse_error"] = 1
    except FAILURES as error:
        problem = f"the definition fails with this signature ({type(error).__name__}: {error})"
        raise BadInputError(problem) from error
    return raw


def read_signatures(
    data: bytes,
    time_stamp: int,
    raw: dict[str, int | float],
    self_issued: Callable[[SignedData], Iterable[bool]],
) -> None:
    """Add what each signature says to `raw`, as far as they can be read.

    `self_issued` says of certificates of a signature whether they have issued themselves. Raises
    what `signed_data.read` raises.
    """
    for signature in _signatures(data):
        raw["num_certs"] += 1
        if not signature.named:
            raw["empty_program_name"] = 1
        if signature.countersigned:
            time = signature.signing_time
            if time >= raw["latest_signing_time"]:
                raw["latest_signing_time"] = time
            raw["signing_time_diff"] = time - time_stamp
        else:
            raw["no_countersigner"] = 1
        raw["chain_max_depth"] = max(raw["chain_max_depth"], signature.depth)
        for same in self_issued(signature):
            if same:
                raw["self_signed"] = 1


def _signatures(data: bytes) -> Iterator[SignedData]:
    for content in _contents(data):
        yield from read(content)


def _contents(data: bytes) -> Iterator[bytes]:
    """The PKCS #7 messages in the certificate table, up to the first damage in the table."""
    position, end = _table(data)
    while position < end:
        if position + _CERTIFICATE_HEADER.size > len(data):
            return
        length, revision, kind = _CERTIFICATE_HEADER.unpack_from(data, position)
        if length <= _CERTIFICATE_HEADER.size or position + length > end or revision != _REVISION_2:
            return
        if kind == _PKCS_SIGNED_DATA:
            yield data[position + _CERTIFICATE_HEADER.size : position + length]
        position += -(-length // 8) * 8


def _table(data: bytes) -> tuple[int, int]:
    """Start and end of the certificate table; (0, 0) if there is none or none that is read."""
    size = len(data)
    if data[:2] != b"MZ" or size < 0x40:
        return 0, 0
    (header,) = _UINT32.unpack_from(data, 0x3C)
    optional = header + 24
    if data[header : header + 4] != b"PE\0\0" or optional > size:
        return 0, 0
    (optional_size,) = _UINT16.unpack_from(data, header + 20)
    optional_end = optional + optional_size
    if optional_size < _CHECKSUM_END or optional_end > size:
        return 0, 0
    (magic,) = _UINT16.unpack_from(data, optional)
    if magic not in _DIRECTORY_COUNT:
        return 0, 0
    count = optional + _DIRECTORY_COUNT[magic]
    entry = count + _CERTIFICATE_ENTRY
    if optional_end < entry + _DIRECTORY_ENTRY.size or _UINT32.unpack_from(data, count)[0] < 5:
        return 0, 0
    start, length = _DIRECTORY_ENTRY.unpack_from(data, entry)
    if not length or start < optional_end or start + length > size:
        return 0, 0
    return start, start + length
