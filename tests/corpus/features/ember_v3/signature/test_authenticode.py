"""The group `authenticode`. What is expected here, signify 0.7.1 makes of the same files."""

from __future__ import annotations

import struct
import time as clock
from pathlib import Path

import pip
import pytest

from corpus.errors import BadInputError
from corpus.features.ember_v3.signature.authenticode import authenticode
from tests.support.pe.signatures import (
    COUNTER_SIGNATURE,
    DIGEST,
    INDIRECT_DATA,
    INTEGER,
    NESTED_SIGNATURE,
    NULL,
    OPUS_INFO,
    PRINTABLE,
    SEQUENCE,
    SET,
    SHA256,
    TIME_STAMP_TOKEN,
    attribute,
    certificate,
    counter_signature,
    der,
    entry,
    oid,
    opus_info,
    pe,
    signature,
    signer,
    time_stamp_token,
)

pytestmark = pytest.mark.fast

UNSIGNED = {
    "num_certs": 0,
    "self_signed": 0,
    "empty_program_name": 0,
    "no_countersigner": 0,
    "parse_error": 0,
    "chain_max_depth": 0,
    "latest_signing_time": 0,
    "signing_time_diff": 0,
}
PLAIN = UNSIGNED | {"num_certs": 1, "empty_program_name": 1, "no_countersigner": 1}
DAMAGED = UNSIGNED | {"parse_error": 1}

ROOT = certificate("root", "root")
LEAF = certificate("root", "leaf")
TIME = 1577934245  # 2020-01-02 03:04:05 UTC


def features(*signatures: bytes, time_stamp: int = 0) -> dict[str, int | float]:
    """The group of a file with these signatures."""
    return authenticode(pe(*map(entry, signatures)), time_stamp)


def stamped(time: bytes) -> dict[str, int | float]:
    """The group of a file with an RFC 3161 time stamp."""
    return features(signature(unsigned=[time_stamp_token(time)]))


def test_a_real_file_without_a_signature():
    launcher = Path(pip.__file__).parent / "_vendor" / "distlib" / "t64.exe"
    assert authenticode(launcher.read_bytes(), 5) == UNSIGNED


def test_a_signature_without_name_and_time():
    assert features(signature(LEAF, ROOT), time_stamp=5) == PLAIN | {"chain_max_depth": 2}


@pytest.mark.parametrize("magic", [0x10B, 0x20B])
def test_both_kinds_of_optional_header(magic: int):
    assert authenticode(pe(entry(signature()), magic=magic), 0) == PLAIN


@pytest.mark.parametrize(
    ("opus", "empty"),
    [
        (opus_info("name"), 0),
        (opus_info(""), 0),
        (attribute(OPUS_INFO, der(SEQUENCE)), 1),
        (attribute(OPUS_INFO, der(SEQUENCE, der(0xA1, der(0x80, b"url")))), 1),
    ],
)
def test_program_name(opus: bytes, empty: int):
    assert features(signature(signed=[opus])) == PLAIN | {"empty_program_name": empty}


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (b"200102030405Z", TIME),
        (b"2001020304Z", TIME - 5),
        (b"200102050405+0200", TIME),
        (b"650101000000Z", -157766400),
    ],
)
def test_counter_signature_of_pkcs_9(time: bytes, seconds: int):
    expected = PLAIN | {
        "no_countersigner": 0,
        "latest_signing_time": max(seconds, 0),
        "signing_time_diff": seconds - TIME,
    }
    assert features(signature(unsigned=[counter_signature(time)]), time_stamp=TIME) == expected


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (b"20200102030405Z", TIME),
        (b"20200102030405.25Z", TIME + 0.25),
        (b"2020010203.5Z", TIME - 245 + 1800),
        (b"20200102030405-01", TIME + 3600),
        (b"20200102030405", TIME),
        (b"20200102030405.25", TIME + 0.25),
        (b"00010102000000", -62135510400),
        (b"00010101000000Z", -62135596800),
        (b"00000101000000Z", -62167219200),
        (b"00000101000000", -62167219200),
    ],
)
def test_time_stamp_of_rfc_3161(time: bytes, seconds: float):
    expected = {"latest_signing_time": max(seconds, 0), "signing_time_diff": seconds}
    assert stamped(time) == PLAIN | {"no_countersigner": 0} | expected


def test_no_answer_for_the_first_day_of_all_without_a_zone():
    # The signature was counted before its time failed.
    assert stamped(b"00010101000000") == DAMAGED | {"num_certs": 1, "empty_program_name": 1}


def test_the_time_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "America/Bogota")
    clock.tzset()
    try:
        assert stamped(b"20200102030405")["latest_signing_time"] == TIME
    finally:
        monkeypatch.undo()
        clock.tzset()


def test_nested_signatures_count_and_the_last_makes_the_difference():
    inner = signature(LEAF, LEAF, ROOT, unsigned=[counter_signature(b"200102030400Z")])
    outer = signature(
        LEAF,
        signed=[opus_info("name")],
        unsigned=[counter_signature(b"200102030405Z"), attribute(NESTED_SIGNATURE, inner)],
    )
    assert features(outer) == UNSIGNED | {
        "num_certs": 2,
        "empty_program_name": 1,
        "chain_max_depth": 3,
        "latest_signing_time": TIME,
        "signing_time_diff": TIME - 5,
    }


@pytest.mark.parametrize(
    ("certificates", "self_signed"),
    [((ROOT, LEAF), 1), ((LEAF, ROOT), 0), ((ROOT,), 0), ((LEAF, ROOT, LEAF), 1), ((), 0)],
)
def test_the_last_certificate_may_be_self_signed(certificates: list[bytes], self_signed: int):
    expected = {"self_signed": self_signed, "chain_max_depth": len(certificates)}
    assert features(signature(*certificates)) == PLAIN | expected


def test_indefinite_lengths():
    plain = signature(LEAF)
    content = plain[plain.index(b"\xa0") :]
    indefinite = b"\x30\x80" + oid("1.2.840.113549.1.7.2") + content + b"\0\0"
    assert features(indefinite) == PLAIN | {"chain_max_depth": 1}


GOOD = entry(signature())


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([GOOD, GOOD], PLAIN | {"num_certs": 2}),
        ([entry(b"anything", kind=1), GOOD], PLAIN),
        ([GOOD, entry(signature(), revision=0x100), GOOD], PLAIN),
        ([GOOD, entry(signature(), length=8), GOOD], PLAIN),
        ([GOOD, entry(signature(), length=0x7FFFFFFF)], PLAIN),
        ([GOOD, bytes(5)], PLAIN),
        ([GOOD, entry(b"\x30\x05short")[:-3]], PLAIN),
        ([GOOD, entry(signature()[:-1]), GOOD], PLAIN | {"parse_error": 1}),
        ([entry(b"\x30")], DAMAGED),
    ],
)
def test_the_table_is_read_up_to_its_first_damage(
    entries: list[bytes], expected: dict[str, int | float]
):
    assert authenticode(pe(*entries), 0) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        b"MZ" + bytes(100),
        b"ZM" + pe(GOOD)[2:],
        pe(GOOD)[:0x50],
        pe(GOOD)[:100],
        pe(GOOD)[:-1],
        pe(GOOD, magic=0x107),
        pe(GOOD, directories=4),
        pe(GOOD, start=0x138 - 1),
        pe(GOOD, start=0xFFFFFFFF),
        pe(GOOD, size=0),
        pe(GOOD, size=4),
        pe(GOOD)[:0x54] + struct.pack("<H", 67) + pe(GOOD)[0x56:],
        pe(GOOD)[:0x54] + struct.pack("<H", 135) + pe(GOOD)[0x56:],
    ],
)
def test_no_table(data: bytes):
    assert authenticode(data, 0) == UNSIGNED


COUNTER = counter_signature(b"200102030405Z")
TOKEN = time_stamp_token(b"20200102030405Z")
KEY_IDENTIFIER = der(0x80, b"key")
MD2 = der(SEQUENCE, oid("1.2.840.113549.2.2"), der(NULL))
WITH_PARAMETERS = der(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"), der(INTEGER, b"\1"))
OTHER_TYPE = "1.2.840.113549.1.7.1"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(der(SEQUENCE, oid(OTHER_TYPE), der(0xA0, DIGEST)), id="no SignedData"),
        pytest.param(signature(digests=[]), id="no digest algorithm"),
        pytest.param(signature(digests=[SHA256, SHA256]), id="two digest algorithms"),
        pytest.param(signature(digests=[MD2]), id="old digest algorithm"),
        pytest.param(signature(digests=[WITH_PARAMETERS]), id="digest algorithm with parameters"),
        pytest.param(signature(content_type=OTHER_TYPE, content=DIGEST), id="other content"),
        pytest.param(signature(signers=[]), id="no signer"),
        pytest.param(signature(signers=[signer(INDIRECT_DATA)] * 2), id="two signers"),
        pytest.param(signature(signers=[signer(OTHER_TYPE)]), id="signer of other content"),
        pytest.param(
            signature(signers=[signer(INDIRECT_DATA, identifier=KEY_IDENTIFIER)]),
            id="key identifier",
        ),
        pytest.param(signature(signers=[signer(INDIRECT_DATA, basics=False)]), id="no attributes"),
        pytest.param(signature(signers=[signer(INDIRECT_DATA, digest=MD2)]), id="signer's digest"),
        pytest.param(signature(signed=[attribute(OPUS_INFO)]), id="no value"),
        pytest.param(signature(signed=[opus_info("name") + b"\x30"]), id="damaged attribute"),
        pytest.param(signature(revocations=der(0xA1, der(SEQUENCE))), id="revocations"),
        pytest.param(signature(ROOT[:-1], LEAF), id="damaged certificate"),
        pytest.param(signature(unsigned=[COUNTER, TOKEN]), id="both kinds of time"),
        pytest.param(signature(unsigned=[counter_signature(b"2001")]), id="damaged time"),
        pytest.param(
            signature(unsigned=[attribute(COUNTER_SIGNATURE, signer(OTHER_TYPE))]), id="no time"
        ),
        pytest.param(
            signature(unsigned=[attribute(NESTED_SIGNATURE, signature(digests=[]))]),
            id="damaged nested signature",
        ),
        pytest.param(
            signature(unsigned=[attribute(TIME_STAMP_TOKEN, signature())]), id="no time stamp"
        ),
    ],
)
def test_what_is_a_parse_error(content: bytes):
    assert features(content) == DAMAGED


# A name with a part of no attributes, which is only found out when the name is compared.
COUNTRY = der(SET, der(SEQUENCE, oid("2.5.4.6"), der(PRINTABLE, b"CH")))
NO_PART = der(SET) + der(SET, der(SEQUENCE, oid("2.5.4.6"), der(PRINTABLE)))
NAMELESS = LEAF.replace(COUNTRY, NO_PART, 1)


def test_names_of_the_last_certificate_are_not_looked_at():
    assert features(signature(LEAF, NAMELESS)) == PLAIN | {"chain_max_depth": 2}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(
            signature(unsigned=[time_stamp_token(b"20200102030405Z", unsigned=[COUNTER])]),
            "TypeError",
            id="counter signature in a time stamp",
        ),
        pytest.param(
            signature(
                unsigned=[
                    time_stamp_token(
                        b"20200102030405Z", after_time=[der(0xA0, der(0x82, b"example.org"))]
                    )
                ]
            ),
            "NotImplementedError",
            id="authority of another kind of name",
        ),
        pytest.param(
            signature(
                unsigned=[
                    time_stamp_token(
                        b"20200102030405Z",
                        after_time=[der(SEQUENCE, der(INTEGER, b"\x7f" + bytes(9)))],
                    )
                ]
            ),
            "OverflowError",
            id="accuracy of aeons",
        ),
        pytest.param(
            der(SEQUENCE, oid("1.2.840.113549.1.7.2")), "TypeError", id="nothing in the signature"
        ),
        pytest.param(signature(NAMELESS, LEAF), "IndexError", id="a name with nothing in it"),
    ],
)
def test_what_the_definition_fails_with(content: bytes, reason: str):
    with pytest.raises(BadInputError, match=f"the definition fails with this signature .{reason}"):
        features(content)


def test_certificates_are_known_by_their_contents():
    # The same certificate a second time, and one that differs in its names alone.
    for _ in range(2):
        assert features(signature(ROOT, LEAF))["self_signed"] == 1
        assert features(signature(LEAF, LEAF))["self_signed"] == 0
