"""The sandbox: one bad file costs one failed outcome, whatever the file does."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from corpus.sandbox import wire
from tests.support.sandboxes import MIB, run, sandbox


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "support"))


def test_value_passes_through() -> None:
    outcome = run(b"blobs \x00\xff")
    assert outcome.reason is None
    array = outcome.value["deep"][0].pop("array")
    assert array.dtype == np.float32
    assert np.array_equal(array, np.arange(6).reshape(2, 3))
    # A name that the wire format might use means nothing in a value.
    assert outcome.value == {
        "raw": b"\x00\xff",
        "deep": [{}, None, "text"],
        "$blob": 0,
        "empty": b"",
    }
    assert outcome.peak_memory_bytes > MIB


def test_long_texts_pass_through_as_they_are() -> None:
    assert run(b"texts ").value == ["short", "long \n\ud800\u00e9" * 1_000]


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "the file has 0 bytes"),
        (b"signal 11", "crash", "SIGSEGV"),
        (b"signal 4", "crash", "SIGILL"),
        (b"signal 9", "memory", "SIGKILL"),
        (b"exit 3", "crash", "exit status 3"),
        (b"exit 0", "crash", "exit status 0"),
        (b"abort corrupted heap", "crash", "SIGABRT: corrupted heap"),
        (b"abort terminate: std::bad_alloc", "memory", "SIGABRT: terminate: std::bad_alloc"),
        (b"bomb 10000000", "memory", "MemoryError: "),
        (b"raise no\xff\ngood", "error", "ValueError: no\\udcff\\ngood"),
        (b"nonsense", "error", "KeyError: 'nonsense'"),
        (b"object", "error", "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_reasons(data: bytes, reason: str, detail: str) -> None:
    outcome = run(data)
    assert (outcome.value, outcome.reason, outcome.detail) == (None, reason, detail)


@pytest.mark.parametrize("data", [b"sleep 60", b"spin 60"])
def test_hang_is_cut(data: bytes) -> None:
    outcome = run(data, timeout_s=0.5)
    assert (outcome.reason, outcome.detail) == ("timeout", "not done after 0.5 s")
    assert 0.5 <= outcome.elapsed_s < 30
    assert outcome.peak_memory_bytes > MIB


def test_one_bad_file_costs_one_outcome() -> None:
    bad = [b"signal 11", b"sleep 60", b"bomb 10000000", b"raise x", b"", b"exit 1", b"noise 2000"]
    items = [(f"{i}", b"digest ok") for i in range(20)]
    for i, data in enumerate(bad):
        items.insert(3 * i, (f"bad {i}", data))
    with sandbox(jobs=2, timeout_s=2) as box:
        outcomes = list(box.map(items))
    assert [o.key for o in outcomes] == [key for key, _ in items]
    assert [o.reason for o in outcomes if o.key.startswith("bad")] == [
        "crash", "timeout", "memory", "error", "empty", "crash", None,
    ]  # fmt: skip
    assert all(o.reason is None for o in outcomes if not o.key.startswith("bad"))


def test_output_of_native_libraries_is_no_answer() -> None:
    with sandbox() as box:
        outcomes = list(box.map([("a", b"noise 5000"), ("b", b"noise 1"), ("c", b"digest x")]))
    assert [o.value for o in outcomes[:2]] == ["quiet", "quiet"]
    assert outcomes[2].value["size"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff" * 64,
        wire.PREFIX.pack(4, 0) + b"null",
        wire.PREFIX.pack(2, 0) + b"{}",
        wire.PREFIX.pack(4, 0) + b"\x80\x04K\x01",
        b"".join(wire.pack({"status": "ok", "peak": 1, "value": 1, "blobs": [{"path": [0], "size": 1}]}, [b"x"])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": 8, "dtype": "O", "shape": [1]}]}, [b"x" * 8])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": 1, "text": True}]}, [b"\xff"])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "value": 1}, [b"left over"])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": 1}] * 2}, [b"x"])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": -1}, {"path": [], "size": 2}]}, [b"x"])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": 8, "dtype": "<f8", "shape": [1 << 70]}]}, [b"x" * 8])),
        b"".join(wire.pack({"status": "ok", "peak": 1, "blobs": [{"path": [{}], "size": 1}]}, [b"x"])),
        b"".join(wire.pack({"status": "ok", "peak": 1 << 63, "value": 1}, [])),
        b"".join(wire.pack({"status": "ok", "peak": True, "value": 1}, [])),
        b"".join(wire.pack({"status": ["ok"], "peak": 1}, [])),
        b"".join(wire.pack({"status": "error", "peak": 1, "detail": [1]}, [])),
        wire.PREFIX.pack(wire.HEADER_BYTES + 1, 0) + b" " * (wire.HEADER_BYTES + 1),
        wire.PREFIX.pack(2**32 - 1, 2**64 - 1),
        wire.PREFIX.pack(60_000, 0) + b"[" * 60_000,
        wire.PREFIX.pack(60_000, 0) + b'{"status":"ok","peak":1,"value":' + b"[" * 500 + b"]" * 500 + b"}" + b" " * (60_000 - 1_033),
        wire.PREFIX.pack(60_000, 0) + b'{"status":"ok","peak":' + b"9" * 59_977 + b"}",
    ],
)  # fmt: skip
def test_lying_child_is_a_crash(answer: bytes) -> None:
    outcome = run(b"babble " + answer)
    assert outcome.reason == "crash"
    assert outcome.detail.startswith("the child's answer is broken: ")


def test_a_blob_that_never_comes_costs_time_and_no_memory() -> None:
    header = json.dumps({"status": "ok", "peak": 1, "blobs": [{"path": [], "size": 4 << 30}]})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = wire.PREFIX.pack(len(header), 4 << 30) + header.encode()
    options = {"memory_bytes": 8 << 30, "answer_bytes": 8 << 30}
    outcome = run(b"babble " + answer, timeout_s=1, **options)
    assert outcome.reason == "timeout"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_an_answer_has_a_budget() -> None:
    with sandbox(answer_bytes=10_000) as box:
        outcomes = list(box.map([("a", b"blobs " + bytes(20_000)), ("b", b"digest x")]))
    assert [o.reason for o in outcomes] == ["crash", None]
    assert "65536 and 10000 are read" in outcomes[0].detail


def test_endless_noise_keeps_nobody() -> None:
    with sandbox(timeout_s=2) as box:
        outcomes = list(box.map([("a", b"shout "), ("b", b"digest x")]))
    assert [o.reason for o in outcomes] == ["timeout", None]


def test_a_sound_answer_that_is_too_large_says_so() -> None:
    with sandbox() as box:
        outcomes = list(box.map([("a", b"wide 20000"), ("b", b"nested 40"), ("c", b"nested 20")]))
    assert [o.reason for o in outcomes] == ["error", "error", None]
    assert "65536 are allowed" in outcomes[0].detail
    assert "in each other" in outcomes[1].detail


def test_lying_child_does_not_answer_for_the_next_file() -> None:
    rest = wire.pack({"status": "ok", "peak": 1, "value": "forged", "blobs": []}, [])
    with sandbox() as box:
        outcomes = list(box.map([("a", b"babble " + b"".join(rest) * 2), ("b", b"digest x")]))
    # That the first is forged no sandbox can tell.
    assert outcomes[0].value == "forged"
    assert outcomes[1].value["size"] == 1


def test_large_payload_and_bounded_flight() -> None:
    size = 200 * MIB
    pulled = 0

    def items() -> Iterator[tuple[str, bytes]]:
        nonlocal pulled
        for index in range(4):
            pulled += 1
            yield str(index), bytes(size)

    seen = []
    with sandbox("sandbox_functions:digest", memory_bytes=600 * MIB, timeout_s=120) as box:
        for outcome in box.map(items()):
            seen.append(outcome)
            assert pulled <= len(seen) + 2
    assert [o.reason for o in seen] == [None] * 4
    assert {o.value["sha256"] for o in seen} == {hashlib.sha256(bytes(size)).hexdigest()}
    assert all(o.peak_memory_bytes >= size for o in seen)


def test_file_larger_than_the_limit_is_a_lack_of_memory() -> None:
    with sandbox("sandbox_functions:digest", memory_bytes=64 * MIB) as box:
        outcomes = list(box.map([("big", bytes(100 * MIB)), ("small", b"x")]))
    assert [o.reason for o in outcomes] == ["memory", None]
