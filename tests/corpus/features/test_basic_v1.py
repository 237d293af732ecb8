"""The feature set basic-v1: what its columns say, and that they never say anything else."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from corpus import features
from corpus.features.basic_v1.content import byte_counts, entropy_bits
from corpus.features.basic_v1.hashing import column_and_sign, hashed
from tests.support.executables import launcher, real_elfs, real_pes, small_pe

BASIC = features.get("basic-v1")


def columns(vector: np.ndarray, group: str) -> np.ndarray:
    (found,) = (g for g in BASIC.groups if g.name == group)
    return vector[found.start : found.stop]


def plain_joint(data: bytes) -> list[int]:
    """The byte-entropy histogram by its definition, byte by byte."""
    windows = [data[i : i + 2048] for i in range(0, len(data) - 2047, 1024)] or [data]
    joint = [0] * 256
    for window in windows:
        counts = Counter(byte >> 4 for byte in window)
        entropy = -sum(c / len(window) * math.log2(c / len(window)) for c in counts.values())
        row = min(int(round(entropy * 4, 9)), 15)
        for nibble, count in counts.items():
            joint[row * 16 + nibble] += count
    return joint


@pytest.mark.parametrize(
    "size", [0, 1, 2, 15, 1023, 1024, 2047, 2048, 2049, 3071, 3072, 5000, 524_288, 524_289, 600_000]
)
def test_byte_counts_follow_their_definition(size: int) -> None:
    source = random.Random(size)
    # Stretches of one value, of few and of many.
    data = b"".join(
        bytes(source.choices(range(source.choice((1, 2, 40, 256))), k=700))
        for _ in range(size // 700 + 1)
    )[:size]
    histogram, joint = byte_counts(data)
    assert histogram.tolist() == [data.count(value) for value in range(256)]
    assert joint.tolist() == (plain_joint(data) if data else [0] * 256)


def test_entropy() -> None:
    assert entropy_bits([0] * 256) == 0
    assert entropy_bits([9] + [0] * 255) == 0
    assert entropy_bits([7] * 256) == 8
    assert entropy_bits([1, 3] + [0] * 254) == pytest.approx(0.811278124459)


def test_hashing_is_signed_and_sums() -> None:
    column, sign = column_and_sign("kernel32.dll", 16)
    expected = np.zeros(16)
    expected[column] = sign * 2.5
    assert np.array_equal(hashed([("kernel32.dll", 1.0), ("kernel32.dll", 1.5)], 16), expected)
    signs = Counter(column_and_sign(str(i), 16) for i in range(4_000))
    assert len(signs) == 32
    assert min(signs.values()) > 80


def test_definition_does_not_change() -> None:
    """A change here is a new feature set with a new name, never a new number."""
    digest = hashlib.sha256(BASIC.vector(small_pe()).astype("<f4").tobytes()).hexdigest()
    assert digest == "baadbb5c7f6406cbd5a31b3f0450ed63c4159fa541f50d235b1b8fcc421ec828"


def test_small_pe() -> None:
    data = small_pe()
    raw = BASIC.raw(data)
    assert raw["general"]["parsed"]
    assert raw["general"]["is_64bit"]
    assert raw["pe"]["machine"] == 0x8664
    assert raw["pe"]["timestamp"] == 1_600_000_000
    assert [(s["name"], s["size"], s["flags"]) for s in raw["sections"]] == [(".text", 512, "rx")]
    vector = BASIC.vector(data)
    assert columns(vector, "general")[0] == np.float32(math.log1p(1024))
    assert columns(vector, "histogram").sum() == pytest.approx(1)
    header = columns(vector, "pe_header")
    # Machine x86-64 of 5 and others; PE32+ of 2 and others; console of 10 and others.
    assert header[:6].tolist() == [0, 1, 0, 0, 0, 0]
    assert header[6:9].tolist() == [0, 1, 0]
    assert header[9:20].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    # Characteristics 0x22: bits 1 and 5.
    assert np.flatnonzero(header[20:36]).tolist() == [1, 5]
    assert not columns(vector, "elf_header").any()
    assert not columns(vector, "imports").any()


@pytest.mark.parametrize("path", [*real_pes(), *real_elfs()], ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    data = path.read_bytes()
    raw = BASIC.raw(data)
    is_pe = path.suffix == ".exe"
    assert raw["general"]["parsed"]
    assert (raw["pe"] is not None, raw["elf"] is not None) == (is_pe, not is_pe)
    assert raw["sections"]
    assert raw["imports"]["functions"]
    vector = BASIC.vector(data)
    assert vector.dtype == np.float32
    assert vector.shape == (BASIC.dim,)
    assert np.isfinite(vector).all()
    assert columns(vector, "pe_header").any() == is_pe
    assert columns(vector, "elf_header").any() == (not is_pe)
    assert columns(vector, "imports").any()
    # Raw features are all that the vector is made of, and survive JSON.
    assert np.array_equal(BASIC.vectorize(json.loads(BASIC.extract(data).raw)), vector)


def test_imports_of_a_real_pe() -> None:
    raw = BASIC.raw(launcher())
    assert "kernel32.dll" in raw["imports"]["libraries"]
    assert "kernel32.dll:ExitProcess" in raw["imports"]["functions"]
    assert raw["general"]["imports"] == len(raw["imports"]["functions"])
    assert raw["general"]["has_resources"]
    assert not raw["general"]["has_signature"]
    signed = BASIC.raw(launcher() + b"x" * 100)
    assert signed["general"]["overlay"] == 100


def test_imports_of_a_real_elf() -> None:
    raw = BASIC.raw(Path("/bin/true").read_bytes())
    assert "libc.so.6" in raw["imports"]["libraries"]
    assert ":__libc_start_main" in raw["imports"]["functions"]
    assert "ld-linux" in raw["elf"]["interpreter"]
    assert not raw["general"]["is_library"]
    assert BASIC.raw(real_elfs()[1].read_bytes())["general"]["is_library"]


def test_an_interpreter_that_is_not_utf_8() -> None:
    data = real_elfs()[0].read_bytes().replace(b"/lib64/ld-linux", b"\xc6lib64/ld-linux", 1)
    assert BASIC.raw(data)["elf"]["interpreter"].startswith("\\xc6lib64/ld-linux")


def test_names_that_are_not_utf8() -> None:
    data = bytearray(launcher())
    place = data.index(b".text")
    data[place : place + 5] = b"\xff\xfe\x01\xc3("
    raw = BASIC.raw(bytes(data))
    assert raw["sections"][0]["name"] == "\\xff\\xfe\x01\\xc3("
    json.dumps(raw).encode()


@pytest.mark.parametrize(
    "data", [b"", b"M", b"MZ", b"\x7fELF", b"MZ" + bytes(4096), b"\x7fELF" + b"\xff" * 4096, b"text" * 999]
)  # fmt: skip
def test_bytes_that_are_no_executable(data: bytes) -> None:
    raw = BASIC.raw(data)
    assert not raw["general"]["parsed"]
    vector = BASIC.vector(data)
    assert np.isfinite(vector).all()
    assert not columns(vector, "imports").any()
    assert columns(vector, "histogram").any() == bool(data)


_DIGESTS = """
import hashlib, sys
from pathlib import Path
from corpus import features
basic = features.get("basic-v1")
for path in sys.argv[1:]:
    extracted = basic.extract(Path(path).read_bytes())
    print(hashlib.sha256(extracted.vector.tobytes() + extracted.raw.encode()).hexdigest())
"""


def test_same_in_every_process_and_hash_seed() -> None:
    paths = [*real_pes()[:4], *real_elfs()[:2]]
    answers = {
        subprocess.run(
            [sys.executable, "-c", _DIGESTS, *map(str, order)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, order in (("0", paths), ("1", paths), ("4711", paths))
    }
    assert len(answers) == 1
    assert len(set(answers.pop().split())) == len(paths)
