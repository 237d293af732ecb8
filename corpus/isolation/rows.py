"""What the rows that a sandbox stages may look like, one model a table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from corpus.sandbox import Reason

_Count = Annotated[int, Field(ge=0, lt=2**63)]
# Whatever the services write is without control characters: encoded, or made printable.
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
# The rest may be any text, as far as it is Unicode.
_Unicode = Annotated[str, StringConstraints(pattern=r"(?s)^.*$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Sha1 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
_Tlsh = Annotated[str, StringConstraints(pattern=r"^T1[0-9A-F]{70}$")]


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SampleRow(Row):
    """`first_seen` in microseconds since 1970."""

    sha256: _Sha256
    md5: _Md5
    sha1: _Sha1
    size: _Count
    file_type: _Word
    arch: _Word | None
    tlsh: _Tlsh | None
    imphash: _Md5 | None
    first_seen: int | None
    source: str
    location: _Text
    tags: list[str]
    blob_sha256: _Sha256
    blob_size: _Count


class RejectRow(Row):
    location: _Text
    source: str
    reason: Literal[
        "unsupported", "hash_mismatch", "changed", "unreadable", "bomb", "encrypted", "too_large",
        "empty", "damaged_archive",
    ]  # fmt: skip
    detail: _Text | None
    file_type: _Word | None
    files: Annotated[int, Field(ge=1, lt=2**63)]
    size: _Count | None
    sha256: _Sha256 | None


class FailureRow(Row):
    sha256: _Sha256
    service: str
    feature_set: str
    reason: Reason
    detail: _Text
    elapsed_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    peak_memory_bytes: _Count


class SeenFileRow(Row):
    location: _Text
    fingerprint: str
    source: str


class VectorRow(Row):
    """A row of a feature set's table but for its vector."""

    sha256: _Sha256
    vector_sha256: _Sha256
    raw: _Unicode
