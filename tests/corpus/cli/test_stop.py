"""A stop ends a command whatever it is at, and leaves nothing half-written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, signal, sys, threading
from pathlib import Path
from corpus.cli.stop import Stops
from corpus.store.atomic import atomic_write
Stops()
def say(word):
    print(word, flush=True)
"""
HALF = """
try:
    with atomic_write(Path(sys.argv[1])) as stream:
        stream.write(b"half")
        say("ready")
        sys.stdin.read()
finally:
"""
# What the main thread may be at. Each says "ready" just before.
WORK = {
    "an-orderly-end": HALF
    + """    say("cleaned")
""",
    "a-lock-that-the-stop-left-taken": HALF
    + """
    lock = threading.Lock()
    lock.acquire()
    with lock:
        say("not reached")
""",
    "a-second-stop-while-it-cleans": HALF
    + """
    os.kill(os.getpid(), signal.SIGTERM)
    say("cleaned")
""",
    # The signal goes to a thread that is not the main one, so that nothing interrupts the reading.
    "a-read-that-began-just-before": """
def to_this_thread():
    signal.pthread_kill(threading.get_ident(), int(sys.argv[2]))
threading.Timer(0.3, to_this_thread).start()
"""
    + HALF
    + """    say("cleaned")
""",
}


# Where what it says goes: nobody reads any more, or nobody reads for now.
HEARERS = {"gone": lambda reader: os.close(reader), "busy": lambda reader: None}


def stopped(work: str, out: Path, number: int) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + WORK[work], str(out), str(int(number))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if "to_this_thread" not in WORK[work]:
            process.send_signal(number)
        status = process.wait(60)
        return status, process.stdout.read()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_it_and_nothing_half_written_is_left(work, number, tmp_path):
    out = tmp_path / "out"
    out.write_bytes(b"old")
    status, said = stopped(work, out, number)
    # Python ends by the signal itself where nobody caught what SIGINT raised; the command catches it.
    assert status in {128 + number, -number}
    assert "not reached" not in said
    assert ("cleaned" in said) == (work != "a-lock-that-the-stop-left-taken")
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("hearer", HEARERS)
def test_it_ends_also_if_nobody_hears_what_it_says(hearer, tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    work = WORK["a-lock-that-the-stop-left-taken"]
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + work, str(tmp_path / "out")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer, text=True,
    ) as process:  # fmt: skip
        os.close(writer)
        HEARERS[hearer](reader)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_what_the_store_was_writing_is_not_left(tmp_path):
    script = (
        BEGIN
        + """
from corpus.store import object_store
def full(stream):
    say("ready")
    sys.stdin.read()
object_store.os = type("os", (), {**vars(os), "fsync": staticmethod(full)})
try:
    object_store.Store(sys.argv[1]).write_bytes("some/key", b"half")
finally:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_shell_started_in_the_background_is_not_interrupted(tmp_path):
    script = """
        trap '' INT
        "$1" -c "$2" "$3" <<< '' > "$3.said"
    """
    ended = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, BEGIN + IGNORED, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.said").read_text() == "went on\n"


IGNORED = """
os.kill(os.getpid(), signal.SIGINT)
say("went on")
"""
