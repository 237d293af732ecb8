"""The feature set corpus-v1: each difference to ember-v3, and that there are no others."""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509

from corpus import features
from corpus.errors import BadInputError
from corpus.features.ember_v3.kernels import strings
from corpus.features.ember_v3.kernels.hashing import hash_strings
from tests.support.executables import launcher, real_elfs, real_pes, small_pe
from tests.support.pe import signatures
from tests.support.pe.built import pe_file
from tests.support.pe.linked import exporting, importing

EMBER = features.get("ember-v3")
CORPUS = features.get("corpus-v1")


def both(data: bytes, group: str) -> tuple[np.ndarray, np.ndarray]:
    """The columns of a group in ember-v3 and in corpus-v1."""
    (place,) = (g for g in EMBER.groups if g.name == group)
    ours = slice(place.start, place.stop)
    return EMBER.vector(data)[ours], CORPUS.vector(data)[ours]


def raws(data: bytes, group: str) -> tuple[object, object]:
    return EMBER.raw(data)[group], CORPUS.raw(data)[group]


def test_columns_are_those_of_ember_v3() -> None:
    assert CORPUS.groups == EMBER.groups
    assert CORPUS.dim == 2568


@pytest.mark.parametrize(
    ("text", "pattern", "ember", "ours"),
    [
        ("mail someone@example.org now", "email_addr", 0, 1),
        ("at 00:1a:2b:3c:4d:5e", "email_addr", 1, 0),
        ("at 00:1a:2b:3c:4d:5e", "mac_addr", 1, 1),
        (r"in C:\Windows\System32", "file_path", 0, 1),
        (r"in d:\games", "file_path", 0, 1),
        ("in C:/Windows", "file_path", 1, 1),
        ("https://example.org/a", "file_path", 0, 0),
        ("%s://%s", "file_path", 0, 0),
        (r"Sub:\n", "file_path", 0, 0),
        (r"HKEY_LOCAL_MACHINE\Software", "registry_key", 0, 1),
        (r"HKLM\Software", "registry_key", 0, 1),
        (r"HKCU\Software", "registry_key", 1, 1),
        (r"KHLM\Software", "registry_key", 1, 0),
        ("doubleclicked", ".click(", 1, 0),
        ("$('#a').click(function", ".click(", 1, 1),
        ("CryptAcquireContextW", "crypt", 0, 1),
        ("Start-Process calc", "Start-process", 0, 1),
        ("invoke-expression $x", "Invoke-Expression", 0, 1),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            "base64string",
            0,
            1,
        ),
    ],
)
def test_patterns(text: str, pattern: str, ember: int, ours: int) -> None:
    data = b"\0" + text.encode() + b"\0"
    (theirs, mended) = (EMBER.raw(data)["strings"], CORPUS.raw(data)["strings"])
    assert theirs["string_counts"].get(pattern, 0) == ember
    assert mended["string_counts"].get(pattern, 0) == ours
    # In the same column.
    column = 100 + sorted(strings.PATTERNS).index(pattern)
    assert [columns[column] for columns in both(data, "strings")] == [ember, ours]


@pytest.mark.parametrize("size", [1, 3, 12, 100, 1024, 2047])
def test_entropy_of_a_file_shorter_than_a_window(size: int) -> None:
    data = (bytes(range(256)) * 8)[:size]
    counts = Counter(byte >> 4 for byte in data)
    entropy = -sum(count / size * math.log2(count / size) for count in counts.values())
    _, mended = both(data, "byteentropy")
    assert np.flatnonzero(mended.reshape(16, 16).sum(axis=1)).tolist() == [
        min(int(entropy * 4), 15)
    ]
    assert mended.sum() == pytest.approx(1)


def test_entropy_of_half_a_window() -> None:
    # Each half byte as often as each other: 8 bits, of which ember-v3 sees 16 * 5 / 32 * 2.
    rows = [c.reshape(16, 16).sum(axis=1) for c in both(bytes(range(256)) * 4, "byteentropy")]
    assert [np.flatnonzero(row).tolist() for row in rows] == [[10], [15]]
    # A whole window has the same row in both.
    ember, mended = both(bytes(range(256)) * 8, "byteentropy")
    assert np.array_equal(ember, mended)


def test_number_of_exports() -> None:
    data = exporting([b"first", b"second", b"third"])
    ember, ours = raws(data, "exports")
    assert ember == ours == ["first", "second", "third"]
    theirs, mended = both(data, "exports")
    assert (theirs[0], mended[0]) == (128, 3)
    assert np.array_equal(theirs[1:], mended[1:])
    assert [columns[0] for columns in both(small_pe(), "exports")] == [0, 0]


@pytest.mark.parametrize(("directories", "last"), [(16, 15), (3, 2)])
def test_last_data_directory(directories: int, last: int) -> None:
    data = bytearray(pe_file(bytes(512), last, 0x3000, 77))
    count = 64 + 24 + 108
    assert data[count] == 16
    data[count] = directories
    theirs, mended = both(bytes(data), "datadirectories")
    assert theirs[2 * last : 2 * last + 2].tolist() == [0, 0]
    assert mended[2 * last : 2 * last + 2].tolist() == [77, 0x3000]


def test_a_library_that_is_imported_twice() -> None:
    data = importing((b"one.dll", [b"a", b"b"]), (b"two.dll", [b"x"]), (b"one.dll", [b"c"]))
    assert raws(data, "imports") == (
        {"one.dll": ["c"], "two.dll": ["x"]},
        {"one.dll": ["a", "b", "c"], "two.dll": ["x"]},
    )
    theirs, mended = both(data, "imports")
    assert (theirs[:2].tolist(), mended[:2].tolist()) == ([2, 2], [4, 2])
    assert np.array_equal(theirs[2:258], mended[2:258])
    functions = ["one.dll:a", "one.dll:b", "one.dll:c", "two.dll:x"]
    assert np.array_equal(mended[258:], hash_strings(functions, 1024, alternate_sign=False))


def test_functions_by_ordinal() -> None:
    upper, lower = importing((b"ONE.dll", [7])), importing((b"one.dll", [7]))
    assert raws(upper, "imports") == ({"ONE.dll": ["ONE.dll:ordinal7"]}, {"ONE.dll": ["ordinal7"]})
    theirs, mended = zip(*(both(data, "imports") for data in (upper, lower)), strict=True)
    # The case of the library's name matters to ember-v3, for these functions alone.
    assert not np.array_equal(*theirs)
    assert np.array_equal(*mended)
    assert np.array_equal(
        mended[0][258:], hash_strings(["one.dll:ordinal7"], 1024, alternate_sign=False)
    )


def test_minima_are_of_what_there_is() -> None:
    columns = [6, 8, 10]
    theirs, mended = both(small_pe(), "section")
    # The one section: 512 of 1,024 bytes, one in memory; its entropy is its own highest too.
    assert theirs[columns].tolist() == [0, 0, 0]
    assert mended[columns].tolist() == [mended[5], 0.5, 512]
    assert mended[5] > 0
    _, overlaid = both(small_pe() + b"a" * 64, "section")
    assert overlaid[columns].tolist() == [0, np.float32(64 / 1088), 512]
    assert np.array_equal(np.delete(theirs, columns), np.delete(mended, columns))


def test_alignment_of_a_section() -> None:
    data = bytearray(small_pe())
    flags = data.index(b".text") + 36
    data[flags : flags + 4] = struct.pack("<I", 0x60500020)
    theirs, mended = (EMBER.raw(bytes(data)), CORPUS.raw(bytes(data)))
    common = ["CNT_CODE", "MEM_EXECUTE", "MEM_READ"]
    assert sorted(mended["section"]["sections"][0]["props"]) == ["ALIGN_16BYTES", *common]
    aligned = set(theirs["section"]["sections"][0]["props"]) - set(common)
    assert {"ALIGN_1BYTES", "ALIGN_8BYTES", "ALIGN_16BYTES", "ALIGN_8192BYTES"} < aligned


def test_warnings_of_files() -> None:
    large = bytearray(small_pe())
    struct.pack_into("<I", large, large.index(b".text") + 8, 0x10000001)
    assert raws(bytes(large), "pefilewarnings") == (
        ["Byte 0x...", "Suspicious value found parsing section..."],
        ["...VirtualSize is extremely large > 256MiB", "Byte 0x..."],
    )
    repeated = exporting([b"again"], repeat=11)
    assert raws(repeated, "pefilewarnings") == (
        ["...Assuming corrupt.", "Byte 0x..."],
        ["Byte 0x...", "Export directory contains more than 10 repeated entries..."],
    )
    many = exporting([b"f%d" % number for number in range(8_193)])
    assert raws(many, "pefilewarnings") == (
        ["...Assuming corrupt."],
        ["...symbol entries. Assuming corrupt."],
    )


def signed(*contents: bytes) -> bytes:
    return signatures.pe(*map(signatures.entry, contents))


def test_a_signature_that_the_definition_fails_with() -> None:
    data = signed(
        signatures.signature(),
        signatures.der(signatures.SEQUENCE, signatures.oid(signatures.SIGNED_DATA)),
    )
    with pytest.raises(BadInputError, match="the definition fails with this signature"):
        EMBER.vector(data)
    found = CORPUS.raw(data)["authenticode"]
    assert (found["num_certs"], found["parse_error"]) == (1, 1)
    assert np.isfinite(CORPUS.vector(data)).all()


def test_self_signed_is_the_signer() -> None:
    root, leaf = signatures.certificate("root", "root"), signatures.certificate("root", "leaf")
    name = x509.load_der_x509_certificate(root).issuer.public_bytes()
    by_root = signatures.der(signatures.SEQUENCE, name, signatures.der(signatures.INTEGER, b"\7"))
    signer = signatures.signer(signatures.INDIRECT_DATA, identifier=by_root)

    def self_signed(*certificates: bytes) -> list[int]:
        data = signed(signatures.signature(*certificates, signers=[signer]))
        return [fs.raw(data)["authenticode"]["self_signed"] for fs in (EMBER, CORPUS)]

    # Its only certificate is the last, at which ember-v3 does not look.
    assert self_signed(root) == [0, 1]
    assert self_signed(leaf) == [0, 0]
    # An authority of another's, brought along before the signer's own.
    other = signatures.certificate("other", "other")
    assert self_signed(other, leaf) == [1, 0]


def test_signing_time_is_one_signatures() -> None:
    early, late = (
        signatures.signature(unsigned=[signatures.time_stamp_token(time)])
        for time in (b"20200102030405Z", b"20210102030405Z")
    )
    data = signed(late, early)
    ember, ours = (fs.raw(data)["authenticode"] for fs in (EMBER, CORPUS))
    assert ember["latest_signing_time"] == ours["latest_signing_time"] == 1609556645
    assert (ember["signing_time_diff"], ours["signing_time_diff"]) == (1577934245, 1609556645)


UNCHANGED = ("general", "histogram", "byteentropy", "header", "richheader")


@pytest.mark.parametrize("path", [*real_pes(), *real_elfs()], ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    data = path.read_bytes()
    extracted = CORPUS.extract(data)
    assert np.isfinite(extracted.vector).all()
    assert np.array_equal(extracted.vector, CORPUS.vector(data))
    assert np.array_equal(extracted.vector, CORPUS.vectorize(json.loads(extracted.raw)))
    for group in UNCHANGED:
        assert np.array_equal(*both(data, group)), group
    theirs, mended = both(data, "section")
    assert np.array_equal(np.delete(theirs, [6, 8, 10]), np.delete(mended, [6, 8, 10]))


def test_an_empty_file_has_no_vector() -> None:
    with pytest.raises(BadInputError, match="empty"):
        CORPUS.vector(b"")


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (small_pe(), "d8bfdd07f39a44dfba7090c6b66fce2c98988eefa5c2a2d45c70761bc31a009d"),
        (launcher("t32.exe"), "4393f6763254498dc932f65bbcc58522f09bcfb290eba50268e3e1c2b11bf3c1"),
        (launcher("w64.exe"), "b9300a1a09268119f5ce497b61b7a0467c7d8d1b90ab3299a8e391aef8b43f2d"),
        (
            b"http://example.org/ someone@example.org",
            "1350806c04edb85362d3584ce8c0d69430b893d5bfb496521f357c7de0d2f9be",
        ),
    ],
    ids=["small", "t32", "w64", "text"],
)
def test_definition_does_not_change(data: bytes, digest: str) -> None:
    """A change here is a new feature set with a new name, never a new number."""
    vector = CORPUS.vector(data).astype("<f4").tobytes()
    assert hashlib.sha256(vector).hexdigest() == digest


_DIGESTS = """
import hashlib, sys
from pathlib import Path
from corpus import features
ours = features.get("corpus-v1")
for path in sys.argv[1:]:
    extracted = ours.extract(Path(path).read_bytes())
    print(hashlib.sha256(extracted.vector.tobytes() + extracted.raw.encode()).hexdigest())
"""


def test_same_in_every_process_and_hash_seed() -> None:
    paths = [*real_pes()[:4], *real_elfs()[:2]]
    answers = {
        subprocess.run(
            [sys.executable, "-c", _DIGESTS, *map(str, paths)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(answers) == 1
    assert len(set(answers.pop().split())) == len(paths)
