"""A user of the sandbox whose parser was taken over: attacks itself in all ways, and says what came through.

    python -m tests.support.probe_parent '{"barriers": {}}'

prints, as JSON: `acts`, what became of each; `left`, how many processes outlived the sandbox; `changed`,
whether a file of the user was. What is said to be lacking goes to standard error, as ever.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from corpus.sandbox import Sandbox
from tests.support import probe

SECRET = "secret-of-the-user"
_FILES = (
    *("read", "look", "create", "truncate", "rename", "remove", "link", "symlink", "folder"),
    *("rights", "times", "pipe", "overwrite", "openat2"),
)
_PARENT = (
    *("environment", "memory", "vm_read", "trace", "kill", "take_descriptor", "slow_down"),
    *("limit", "network_back", "network_back_by_process"),
)


def acts() -> list[str]:
    """The names of all acts but `nothing`."""
    return sorted(
        name.removeprefix("act_")
        for name in vars(probe)
        if name.startswith("act_") and name != "act_nothing"
    )


def results(barriers: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run all acts in a sandbox with these barriers (all by default)."""
    os.environ["PROBE_SECRET"] = SECRET
    with ExitStack() as stack:
        # Not below a test's own folder, which its owner alone can enter: rights of files protect nothing here.
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o777)
        for act in _FILES:
            (folder / act).write_text(SECRET)
            (folder / act).chmod(0o666)
        abstract = f"probe-{folder.name}"
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (str(folder / "socket"), "\0" + abstract):
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
        (folder / "socket").chmod(0o777)
        before = _state(folder)
        arguments: dict[str, dict[str, Any]] = {
            **{act: {"path": str(folder / act)} for act in _FILES},
            **{act: {"pid": os.getpid()} for act in _PARENT},
            "list": {"path": str(folder)},
            "mount": {"path": str(folder)},
            "connect": {"port": tcp.getsockname()[1]},
            "unix": {"path": str(folder / "socket")},
            "own_channel": {"path": str(folder / "socket")},
            "abstract": {"name": abstract},
        }
        # It tells the children's command lines from those of other processes.
        sys.path.append(str(folder / "mark"))
        options: dict[str, Any] = {}
        if barriers is not None:
            from corpus.sandbox.barriers import Barriers

            options = {"barriers": Barriers(**barriers)}
        found = {}
        with Sandbox("tests.support.probe:attack", recycle_after=1, **options) as box:
            for act in ("nothing", *acts()):
                order = {"act": act, **arguments.get(act, {})}
                (outcome,) = box.map([(act, json.dumps(order).encode())])
                found[act] = outcome.value if outcome.reason is None else _refusal(outcome)
        return {
            "acts": found,
            "left": _left(str(folder / "mark")),
            "changed": _state(folder) != before,
        }


def _refusal(outcome: Any) -> str:
    # What is no refusal shows as it is.
    refused = outcome.reason == "error" and outcome.detail.split(":")[0] in _REFUSALS
    killed = outcome.reason == "crash" and outcome.detail == "SIGSYS"
    return "refused" if refused or killed else f"{outcome.reason}: {outcome.detail}"


_REFUSALS = {"OSError", "PermissionError", "BlockingIOError", "ConnectionRefusedError"}


def _state(folder: Path) -> list[Any]:
    return [
        (path.name, path.lstat().st_mode, path.lstat().st_mtime, path.lstat().st_ctime)
        for path in sorted(folder.iterdir())
    ]


def _left(mark: str) -> int:
    deadline = time.monotonic() + 10
    while (left := sum(mark in line for line in _command_lines())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _command_lines() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_text(errors="replace"))
        except OSError:
            continue
    return lines


if __name__ == "__main__":
    json.dump(results(**json.loads(sys.argv[1])), sys.stdout)
