"""Signed PE files for tests: the few headers that matter, and signatures that nobody ever made.

A signature states everything that is read of one, but its digests and encrypted digests are noise.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Sequence

from asn1crypto.core import ObjectIdentifier
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SEQUENCE, SET, OCTETS, INTEGER, NULL, PRINTABLE = 0x30, 0x31, 0x04, 0x02, 0x05, 0x13
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

SIGNED_DATA = "1.2.840.113549.1.7.2"
INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
TIME_STAMP_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
OPUS_INFO = "1.3.6.1.4.1.311.2.1.12"
NESTED_SIGNATURE = "1.3.6.1.4.1.311.2.4.1"
TIME_STAMP_TOKEN = "1.3.6.1.4.1.311.3.3.1"

KEY = ec.generate_private_key(ec.SECP256R1())


def der(tag: int, *parts: bytes) -> bytes:
    """A value in DER with these contents."""
    contents = b"".join(parts)
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    octets = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | octets]) + size.to_bytes(octets, "big") + contents


def oid(dotted: str) -> bytes:
    """An object identifier in DER."""
    return bytes(ObjectIdentifier(dotted).dump())


SHA256 = der(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"), der(NULL))
RSA = der(SEQUENCE, oid("1.2.840.113549.1.1.1"), der(NULL))
DIGEST = der(OCTETS, bytes(32))
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Signer")]).public_bytes()
SIGNER_ID = der(SEQUENCE, NAME, der(INTEGER, b"\1"))


def certificate(issuer: str, subject: str) -> bytes:
    """A certificate of these common names in DER."""
    issuer_name, subject_name = (
        x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        for name in (issuer, subject)
    )
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer_name)
        .subject_name(subject_name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2030, 1, 1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def attribute(kind: str, *values: bytes) -> bytes:
    """An attribute in DER."""
    return der(SEQUENCE, oid(kind), der(SET, *values))


def opus_info(name: str) -> bytes:
    """The signed attribute of a program name."""
    text = der(0x80, name.encode("utf-16-be"))
    return attribute(OPUS_INFO, der(SEQUENCE, der(0xA0, text)))


def signer(
    content_type: str,
    signed: Sequence[bytes] = (),
    unsigned: Sequence[bytes] = (),
    *,
    identifier: bytes = SIGNER_ID,
    digest: bytes = SHA256,
    basics: bool = True,
) -> bytes:
    """A SignerInfo; `basics` are the attributes that each must have."""
    attributes = [*signed]
    if basics:
        attributes += [
            attribute(CONTENT_TYPE, oid(content_type)),
            attribute(MESSAGE_DIGEST, DIGEST),
        ]
    return der(
        SEQUENCE,
        der(INTEGER, b"\1"),
        identifier,
        digest,
        der(0xA0, *attributes),
        RSA,
        DIGEST,
        *([der(0xA1, *unsigned)] if unsigned else []),
    )


INDIRECT = der(
    SEQUENCE,
    der(
        SEQUENCE,
        oid("1.3.6.1.4.1.311.2.1.15"),
        der(SEQUENCE, b"\x03\x01\x00", der(0xA0, der(0xA2, der(0x80)))),
    ),
    der(SEQUENCE, SHA256, DIGEST),
)


def signature(
    *certificates: bytes,
    signed: Sequence[bytes] = (),
    unsigned: Sequence[bytes] = (),
    signers: Sequence[bytes] | None = None,
    digests: Sequence[bytes] = (SHA256,),
    content_type: str = INDIRECT_DATA,
    content: bytes = INDIRECT,
    revocations: bytes = b"",
) -> bytes:
    """The ContentInfo of an Authenticode signature."""
    if signers is None:
        signers = [signer(content_type, signed, unsigned)]
    return enclosed(
        der(INTEGER, b"\1"),
        der(SET, *digests),
        der(SEQUENCE, oid(content_type), der(0xA0, content)),
        der(0xA0, *certificates),
        revocations,
        der(SET, *signers),
    )


def enclosed(*signed_data: bytes) -> bytes:
    """The fields of a SignedData in a ContentInfo."""
    return der(SEQUENCE, oid(SIGNED_DATA), der(0xA0, der(SEQUENCE, *signed_data)))


def counter_signature(time: bytes, *signed: bytes) -> bytes:
    """The unsigned attribute of a PKCS #9 counter signature at `time`, a UTCTime."""
    when = attribute(SIGNING_TIME, der(UTC_TIME, time))
    return attribute(COUNTER_SIGNATURE, signer("1.2.840.113549.1.7.1", [when, *signed]))


def time_stamp_token(
    time: bytes, *, after_time: Sequence[bytes] = (), unsigned: Sequence[bytes] = ()
) -> bytes:
    """The unsigned attribute of an RFC 3161 time stamp at `time`, a GeneralizedTime."""
    info = der(
        SEQUENCE,
        der(INTEGER, b"\1"),
        oid("1.2.3"),
        der(SEQUENCE, SHA256, DIGEST),
        der(INTEGER, b"\5"),
        der(GENERALIZED_TIME, time),
        *after_time,
    )
    token = enclosed(
        der(INTEGER, b"\3"),
        der(SET, SHA256),
        der(SEQUENCE, oid(TIME_STAMP_INFO), der(0xA0, der(OCTETS, info))),
        der(SET, signer(TIME_STAMP_INFO, unsigned=unsigned)),
    )
    return attribute(TIME_STAMP_TOKEN, token)


def entry(
    content: bytes, *, length: int | None = None, revision: int = 0x200, kind: int = 2
) -> bytes:
    """An entry of the certificate table, padded to eight bytes."""
    size = 8 + len(content)
    header = struct.pack("<IHH", size if length is None else length, revision, kind)
    return header + content + bytes(-size % 8)


def pe(
    *entries: bytes,
    magic: int = 0x10B,
    directories: int = 16,
    start: int | None = None,
    size: int | None = None,
) -> bytes:
    """A PE file that is headers and a certificate table, which may be said to lie elsewhere."""
    table = b"".join(entries)
    count = 92 if magic == 0x10B else 108
    optional = bytearray(count + 4 + 16 * 8)
    struct.pack_into("<H", optional, 0, magic)
    struct.pack_into("<I", optional, count, directories)
    headers = 0x40 + 24 + len(optional)
    position = headers if start is None else start
    struct.pack_into(
        "<II", optional, count + 4 + 4 * 8, position, len(table) if size is None else size
    )
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, len(optional), 0x102)
    return dos + coff + bytes(optional) + table
