"""The sandbox: one bad file costs one failed outcome, whatever the file does."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.errors import BadInput, CorpusError, PassingFault
from corpus.sandbox import Outcome, Sandbox, template, wire
from corpus.sandbox.process import Process, TimedOut

MIB = 2**20


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def sandbox(function: str = "sandbox_functions:behave", **options: Any) -> Sandbox:
    defaults = {"jobs": 1, "timeout_s": 30.0, "memory_bytes": 256 * MIB, "recycle_after": 100}
    return Sandbox(function, **(defaults | options))


def run(data: bytes, **options: Any) -> Outcome:
    with sandbox(**options) as box:
        (outcome,) = box.map([("key", data)])
    assert outcome.key == "key"
    return outcome


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


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
        (b"write /tmp/sandbox-was-here", "error", "OSError: [Errno 27] File too large"),
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
    ],
)  # fmt: skip
def test_lying_child_is_a_crash(answer: bytes) -> None:
    outcome = run(b"babble " + answer)
    assert outcome.reason == "crash"
    assert outcome.detail.startswith("the child's answer is broken: ")


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


def test_children_are_warm_and_recycled() -> None:
    with sandbox("sandbox_functions:digest", recycle_after=3) as box:
        pids = [o.value["pid"] for o in box.map((str(i), b"x") for i in range(7))]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
    assert os.getpid() not in pids
    assert all(gone(pid) for pid in pids)


def test_children_share_what_was_loaded_once() -> None:
    with sandbox("sandbox_functions:family", jobs=2, recycle_after=2) as box:
        seen = [outcome.value for outcome in box.map((str(i), b"x") for i in range(12))]
    assert len({own for own, _, _ in seen}) >= 6
    (template,) = {parent for _, parent, _ in seen}
    assert {loaded for _, _, loaded in seen} == {template}
    assert template != os.getpid()
    assert gone(template)


def test_siblings_share_no_channel() -> None:
    # Two children at work, each forked while the other was there: both have the same few files open.
    with sandbox(jobs=2, recycle_after=2) as box:
        seen = [o.value for o in box.map((str(i), b"descriptors") for i in range(8))]
    assert all(kinds.count("socket") == 2 and kinds.count("pipe") == 1 for kinds in seen)


def test_files_outlive_the_template() -> None:
    items = [("a", b"digest x"), ("b", b"orphan "), *((str(i), b"digest x") for i in range(4))]
    with sandbox() as box:
        outcomes = list(box.map(items))
    assert [o.reason for o in outcomes] == [None, "crash", None, None, None, None]
    assert outcomes[1].detail == "the process it was forked from has died"
    assert outcomes[2].value["pid"] != outcomes[0].value["pid"]


def test_a_child_that_outlives_its_template_is_killed_all_the_same() -> None:
    lost = template.Template("sandbox_functions:behave", None, 256 * MIB)
    child = Process(lost, 256 * MIB)
    with pytest.raises(TimedOut):
        child.ask(b"undying ", time.monotonic() + 2)
    lost.kill()
    lost.close()
    child.kill()
    child.close()
    assert gone(child.pid)


def test_what_starts_threads_cannot_be_forked() -> None:
    with (
        sandbox("sandbox_functions:threaded", factory_arguments=[2]) as box,
        pytest.raises(CorpusError, match="starts 2 threads"),
    ):
        list(box.map([("a", b"x")]))


def test_earlier_files_are_not_held_against_a_later_one() -> None:
    # Each leaves 100 MB behind: the third finds no room, and gets a fresh child.
    with sandbox(memory_bytes=220 * MIB) as box:
        outcomes = list(box.map([(str(i), b"hoard 100000000") for i in range(4)]))
    assert [(o.reason, o.value) for o in outcomes] == [(None, 1), (None, 2), (None, 1), (None, 2)]


def test_factory_is_called_once_with_its_arguments() -> None:
    with sandbox("sandbox_functions:multiplier", factory_arguments=[3, "product"]) as box:
        (outcome,) = box.map([("a", b"1234")])
    assert outcome.value == {"product": 12}


def test_child_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUS_STORE__OPTIONS", '{"secret": "s3cr3t"}')
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/nowhere")
    limits = run(b"limits").value
    assert limits["core"] == [0, 0]
    assert limits["file_size"] == [0, 0]
    assert limits["session"] is True
    assert "CORPUS_STORE__OPTIONS" not in limits["environment"]
    # Compiled kernels are found where the parent keeps them.
    assert "NUMBA_CACHE_DIR" in limits["environment"]


def test_child_is_off_the_network() -> None:
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("the kernel allows no network namespaces here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        outcome = run(b"connect %d" % port)
    assert outcome.reason == "error"
    assert "unreachable" in outcome.detail


def command_lines() -> bytes:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(entry.read_bytes())
    return b"\n".join(found)


def test_processes_that_a_file_starts_end_with_it() -> None:
    assert run(b"fork 4711.25", timeout_s=2).reason == "timeout"
    # The kernel takes a moment between the signal and the end of a process.
    for _ in range(50):
        if b"sleep\x004711.25" not in command_lines():
            return
        time.sleep(0.1)
    pytest.fail("a process outlived the file that started it")


def test_function_that_cannot_be_loaded_is_our_error() -> None:
    with sandbox("sandbox_functions:missing") as box, pytest.raises(CorpusError, match="missing"):
        list(box.map([("a", b"x")]))
    with pytest.raises(BadInput):
        sandbox("no_colon")


def test_child_that_stalls_at_its_start_is_our_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stalling.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(template, "_START_S", 0.5)
    with sandbox("stalling:function") as box, pytest.raises(PassingFault, match="did not start"):
        list(box.map([("a", b"x")]))


def test_all_who_wait_for_a_template_are_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stalling.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(template, "_START_S", 0.5)
    stalling = template.Template("stalling:function", None, 256 * MIB)
    for _ in range(2):
        with pytest.raises(PassingFault, match="did not start"):
            stalling.fork(0, 0)
    stalling.close()


def test_causes_of_death_are_known_to_a_parent_that_ignores_its_children() -> None:
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run(b"exit 3").detail == "exit status 3"
    finally:
        signal.signal(signal.SIGCHLD, former)


def test_error_of_the_source_is_raised_and_children_end() -> None:
    def items() -> Iterator[tuple[str, bytes]]:
        yield "a", b"x"
        raise RuntimeError("source")

    with sandbox("sandbox_functions:digest") as box, pytest.raises(RuntimeError, match="source"):
        list(box.map(items()))


def test_leaving_early_stops_what_is_under_way() -> None:
    with sandbox(jobs=2, timeout_s=600) as box:
        outcomes = box.map([("a", b"digest x"), ("b", b"sleep 500"), ("c", b"sleep 500")])
        pid = next(outcomes).value["pid"]
    assert gone(pid)
    assert not [t for t in threading.enumerate() if t.name.startswith("sandbox")]


_PARENT = """
import sys
sys.path.insert(0, {tests!r})
print("main is run", flush=True)
from corpus.sandbox import Sandbox
with Sandbox("sandbox_functions:behave", jobs=1, timeout_s=600, recycle_after=9) as box:
    for outcome in box.map([("a", b"digest x"), ("b", {last!r})]):
        print(outcome.value["pid"], flush=True)
"""


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT.format(tests=str(Path(__file__).parent), last=b"spin 600"))
    root = str(Path(__file__).parent.parent)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "main is run\n"
    # Not run a second time by the child.
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(child)


def _in_a_daemon(answers: Any) -> None:
    with sandbox("sandbox_functions:digest") as box:
        answers.put([outcome.reason for outcome in box.map([("a", b"x")])])


def test_works_in_a_daemonic_process() -> None:
    # Such a process may not have children by multiprocessing; executors run tasks in them.
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    daemon = context.Process(target=_in_a_daemon, args=(answers,), daemon=True)
    daemon.start()
    assert answers.get(timeout=60) == [None]
    daemon.join()
