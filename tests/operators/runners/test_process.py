"""The process runner: what it streams, what it stops, and what it never leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from operators.runners.command import Call
from operators.runners.process import ProcessRunner, service_environment
from operators.task_log import MAX_LINE


def runner(script: str, grace: float = 3.0) -> ProcessRunner:
    """A runner of a script that stands where `corpus` would."""
    return ProcessRunner([sys.executable, "-c", script], grace=grace)


COLLECT = Call("collect")


def run(script: str, tmp_path: Path) -> tuple[int, list[str]]:
    seen: list[str] = []
    status = runner(script).run(COLLECT, result=tmp_path / "result.json", on_line=seen.append)
    return status, seen


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    """Whether a process still runs. One that was killed closes its pipes a moment before it is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Starts a child, which starts a child; both would live for ten minutes. TERM does not impress them.
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code])
with open(sys.argv[2] + ".pids", "w") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
print("ready", flush=True)
time.sleep(600)
"""


def family(tmp_path: Path) -> list[int]:
    file = tmp_path / "result.json.pids"
    assert wait_for(lambda: file.exists() and file.read_text().endswith("\n"))
    return [int(pid) for pid in file.read_text().split()]


def test_passes_the_result_file_then_the_arguments(tmp_path: Path) -> None:
    status, seen = run("import sys; print(sys.argv[1:])", tmp_path)
    assert status == 0
    assert seen == [str(["--result", str(tmp_path / "result.json"), "collect"])]


def test_a_stop_before_it_began_is_not_forgotten(tmp_path: Path) -> None:
    early = runner("import time; time.sleep(600)")
    early.stop()
    status = early.run(COLLECT, result=tmp_path / "result.json", on_line=print)
    assert status == 128 + signal.SIGTERM


def test_returns_the_exit_status(tmp_path: Path) -> None:
    assert run("raise SystemExit(75)", tmp_path)[0] == 75


def test_a_signal_shows_as_128_and_its_number(tmp_path: Path) -> None:
    assert run("import os; os.kill(os.getpid(), 9)", tmp_path)[0] == 128 + 9


def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    seen: list[str] = []
    status = ProcessRunner([str(tmp_path / "nothing-here")]).run(
        COLLECT, result=tmp_path / "result.json", on_line=seen.append
    )
    assert status == 127
    assert seen == [f"{tmp_path}/nothing-here: No such file or directory"]


def test_stdin_is_empty(tmp_path: Path) -> None:
    assert run("import sys; print(repr(sys.stdin.read()))", tmp_path) == (0, ["''"])


def test_streams_both_outputs_as_they_come(tmp_path: Path) -> None:
    times: list[float] = []
    script = "import sys, time; print('a', file=sys.stderr, flush=True); time.sleep(1); print('b')"
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        times.append(time.monotonic())

    runner(script).run(COLLECT, result=tmp_path / "r", on_line=on_line)
    assert seen == ["a", "b"]
    assert times[1] - times[0] > 0.5


def test_cuts_long_lines_and_says_so(tmp_path: Path) -> None:
    size = 3_000_000
    _, seen = run(f"print('x' * {size}); print('y')", tmp_path)
    assert seen == [f"{'x' * MAX_LINE} ... ({size - MAX_LINE} more bytes)", "y"]


def test_a_million_lines_need_no_memory(tmp_path: Path) -> None:
    # In a process of its own, so that the peak is the runner's.
    script = f"""
import json, resource, sys
from pathlib import Path
from operators.runners.command import Call
from operators.runners.process import ProcessRunner
count = 0
def on_line(line):
    global count
    count += 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
writer = "for n in range(1_000_000): print(n, 'x' * 100)"
status = ProcessRunner([sys.executable, "-c", writer]).run(
    Call("collect"), result=Path({str(tmp_path / "r")!r}), on_line=on_line)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([status, count, after - before]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    status, count, grown_kib = json.loads(done.stdout)
    assert (status, count) == (0, 1_000_000)
    assert grown_kib < 16 * 1024


def test_a_line_cannot_forge_another(tmp_path: Path) -> None:
    _, seen = run(
        r"print('name\r\x1b[2Kok\tfine \u2028 \udcff'.encode('utf-8', 'surrogateescape'), flush=True); import sys; sys.stdout.buffer.write(b'a\rb\x1b[1m\xff\n')",
        tmp_path,
    )
    assert seen[1] == "a\\x0db\\x1b[1m\ufffd"


def test_keeps_the_last_line_without_an_end(tmp_path: Path) -> None:
    assert run("print('no end', end='')", tmp_path)[1] == ["no end"]


def test_the_environment_holds_nothing_of_airflow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("AIRFLOW_CONN_S3", "secret")
    monkeypatch.setenv("CORPUS_STORE__ROOT", "/somewhere")
    _, seen = run("import json, os; print(json.dumps(dict(os.environ)))", tmp_path)
    environment = json.loads(seen[0])
    assert "secret" not in environment.values()
    assert environment["CORPUS_STORE__ROOT"] == "/somewhere"
    assert environment["CORPUS_RUN"] == "{}"


def test_the_corpus_is_importable_from_anywhere() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-S",
            "-c",
            "from corpus.contract.version import current; print(current().version)",
        ],
        env=service_environment({}),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()


def test_stop_ends_the_service_and_its_children(tmp_path: Path) -> None:
    running = runner(FAMILY, grace=0.5)
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(
            running.run(COLLECT, result=tmp_path / "result.json", on_line=print)
        )
    )
    thread.start()
    pids = family(tmp_path)
    running.stop()
    thread.join(20)
    assert statuses == [128 + signal.SIGKILL]
    # A process that was killed is dead a moment later.
    assert wait_for(lambda: not any(map(alive, pids)))


def test_stop_gives_time_for_an_orderly_end(tmp_path: Path) -> None:
    script = """
import signal, sys, time
def stop(*_):
    print("tidied up", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(600)
"""
    running = runner(script)
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "ready":
            running.stop()

    assert running.run(COLLECT, result=tmp_path / "r", on_line=on_line) == 3
    assert seen == ["ready", "tidied up"]


def test_a_stop_afterwards_is_harmless(tmp_path: Path) -> None:
    running = runner("pass")
    assert running.run(COLLECT, result=tmp_path / "r", on_line=print) == 0
    running.stop()


def test_an_exception_in_the_caller_stops_the_service(tmp_path: Path) -> None:
    def on_line(line: str) -> None:
        raise TimeoutError(line)

    with pytest.raises(TimeoutError, match="ready"):
        runner(FAMILY, grace=0.2).run(COLLECT, result=tmp_path / "result.json", on_line=on_line)
    assert wait_for(lambda: not any(map(alive, family(tmp_path))))


def test_children_left_behind_are_ended(tmp_path: Path) -> None:
    script = FAMILY.replace("time.sleep(600)\n", "os._exit(0)\n")
    assert script != FAMILY
    assert run(script, tmp_path)[0] == 0
    assert wait_for(lambda: not any(map(alive, family(tmp_path))))


@pytest.mark.parametrize("victim", ["task", "service", "group"])
def test_kill_9_leaves_nothing(victim: str, tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
import sys
from operators.runners.command import Call
from operators.runners.process import ProcessRunner
status = ProcessRunner([sys.executable, "-c", {FAMILY!r}], grace=0.2).run(
    Call("collect"), result=Path({str(tmp_path / "result.json")!r}), on_line=print)
print("status", status)
"""
    task = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    pids = family(tmp_path)
    if victim == "task":
        os.kill(task.pid, signal.SIGKILL)
    elif victim == "group":
        os.killpg(task.pid, signal.SIGKILL)
    else:
        os.kill(pids[0], signal.SIGKILL)
    out, _ = task.communicate(timeout=20)
    assert wait_for(lambda: not any(map(alive, pids)))
    if victim == "service":
        assert out.splitlines()[-1] == f"status {128 + signal.SIGKILL}"
