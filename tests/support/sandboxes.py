"""Sandboxes for tests, and whether processes are there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from corpus.sandbox import Outcome, Sandbox

MIB = 2**20


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
