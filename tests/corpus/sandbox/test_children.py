"""The sandbox's children: how they start, what they share, and that none outlives its use."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import BadInputError, CorpusError, PassingFaultError
from corpus.sandbox import template
from corpus.sandbox.barriers import ALL, Barriers
from corpus.sandbox.process import DiedError, Process, TimedOutError
from tests.support.sandboxes import MIB, alive, gone, run, sandbox

NONE = Barriers(landlock=0, system_calls=False)


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "support"))


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
    with sandbox(jobs=2, recycle_after=2, barriers=NONE) as box:
        seen = [o.value for o in box.map((str(i), b"descriptors") for i in range(8))]
    assert all(kinds.count("socket") == 2 and kinds.count("pipe") == 1 for kinds in seen)


def test_files_outlive_the_template() -> None:
    with sandbox("sandbox_functions:family") as box:
        (first,) = box.map([("a", b"x")])
        os.kill(first.value[1], signal.SIGKILL)
        assert gone(first.value[0])
        outcomes = list(box.map([(str(i), b"x") for i in range(4)]))
    assert [o.reason for o in outcomes] == [None] * 4
    assert first.value[1] not in {template for _, template, _ in (o.value for o in outcomes)}


def test_a_child_goes_with_its_template() -> None:
    lost = template.Template("sandbox_functions:behave", None, 256 * MIB)
    child = Process(lost, 256 * MIB)
    threading.Timer(0.5, lost.kill).start()
    with pytest.raises(DiedError, match="the process it was forked from has died"):
        child.ask(b"sleep 600", time.monotonic() + 60)
    child.close()
    lost.close()


def test_a_child_that_outlives_its_template_is_killed_all_the_same() -> None:
    barriers = Barriers(system_calls=False)
    lost = template.Template("sandbox_functions:behave", None, 256 * MIB, barriers)
    child = Process(lost, 256 * MIB)
    with pytest.raises(TimedOutError):
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


@pytest.mark.parametrize(
    ("barriers", "refusal"), [(ALL, "Operation not permitted"), (NONE, "unreachable")]
)
def test_child_is_off_the_network(barriers: Barriers, refusal: str) -> None:
    if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("the kernel allows no network namespaces here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        outcome = run(b"connect %d" % port, barriers=barriers)
    assert outcome.reason == "error"
    assert refusal in outcome.detail


def test_a_file_starts_no_process() -> None:
    outcome = run(b"fork 4711.25")
    assert outcome.reason == "error"
    assert outcome.detail.startswith("PermissionError: ")


def test_an_act_that_no_parser_needs_ends_the_child() -> None:
    with sandbox() as box:
        outcomes = list(box.map([("a", b"execute /bin/true"), ("b", b"digest x")]))
    assert [(o.reason, o.detail) for o in outcomes] == [("crash", "SIGSYS"), (None, "")]


def test_a_module_that_was_not_loaded_in_time_is_named_with_the_remedy() -> None:
    outcome = run(b"import wave")
    assert outcome.reason == "error"
    assert outcome.detail.startswith("ModuleNotFoundError: wave cannot be imported once")
    assert "LOADED_FIRST" in outcome.detail


def test_function_that_cannot_be_loaded_is_our_error() -> None:
    with sandbox("sandbox_functions:missing") as box, pytest.raises(CorpusError, match="missing"):
        list(box.map([("a", b"x")]))
    with pytest.raises(BadInputError):
        sandbox("no_colon")


def test_child_that_stalls_at_its_start_is_our_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stalling.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(template, "_START_S", 0.5)
    with (
        sandbox("stalling:function") as box,
        pytest.raises(PassingFaultError, match="did not start"),
    ):
        list(box.map([("a", b"x")]))


def test_all_who_wait_for_a_template_are_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stalling.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(template, "_START_S", 0.5)
    stalling = template.Template("stalling:function", None, 256 * MIB)
    for _ in range(2):
        with pytest.raises(PassingFaultError, match="did not start"):
            stalling.fork(0, 0)
    stalling.close()


def test_a_template_without_room_for_descriptors_says_so() -> None:
    with sandbox("sandbox_functions:crowded", factory_arguments=[1]) as box:
        for _ in range(2):
            with pytest.raises(PassingFaultError, match="Too many open files"):
                list(box.map([("a", b"x")]))


def test_a_child_without_a_descriptor_does_not_outlive_its_start() -> None:
    parent = template.Template("sandbox_functions:family", None, 256 * MIB)
    first = Process(parent, 256 * MIB)
    pid = first.ask(b"x", time.monotonic() + 30).value()[1]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[0]), limits[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        # Enough for the child's channel and its standard error.
        for _ in range(4):
            os.close(taken.pop())
        with pytest.raises(OSError, match="Too many open files"):
            Process(parent, 256 * MIB)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text().split() == [str(first.pid)]
    first.kill()
    first.close()
    parent.kill()
    parent.close()


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
    script.write_text(
        _PARENT.format(tests=str(Path(__file__).parents[2] / "support"), last=b"spin 600")
    )
    root = str(Path(__file__).parents[3])
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
