"""What the control groups of this process leave it: a container, or a service, may have less than its machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def memory() -> int | None:
    """Bytes that are left; None if nothing but the machine bounds them."""
    rooms = []
    for folder, version in _folders("memory"):
        most = _number(folder / ("memory.max", "memory.limit_in_bytes")[version])
        used = _number(folder / ("memory.current", "memory.usage_in_bytes")[version])
        if most is not None and used is not None:
            rooms.append(max(0, most - used + _cached(folder)))
    return min(rooms, default=None)


def processes() -> int | None:
    """How many processes and threads may still be started; None if these groups do not bound them."""
    rooms = []
    for folder, _ in _folders("pids"):
        most, used = _number(folder / "pids.max"), _number(folder / "pids.current")
        if most is not None and used is not None:
            rooms.append(max(0, most - used))
    return min(rooms, default=None)


def usable_cores() -> int:
    """How many cores this process may use, at least one; a container often has fewer than its machine."""
    usable = len(os.sched_getaffinity(0))
    bound = _cores()
    return usable if bound is None else max(1, min(usable, ceil(bound)))


def _cores() -> float | None:
    """How many cores' worth of time there is; None if these groups do not bound it."""
    found = []
    for folder, version in _folders("cpu"):
        if version == 0:
            words = _words(folder / "cpu.max")
        else:
            words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal():
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def _folders(controller: str) -> Iterator[tuple[Path, int]]:
    """The folder of this process's group and those above it; with 0 for version 2, 1 for version 1."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, version = _ROOT, 0
        elif controller in controllers.split(","):
            top, version = _ROOT / controller, 1
        else:
            continue
        # In a container the path may be the machine's, and the folder be the container's own.
        folder = top / path.strip("/") if ".." not in path else top
        while folder != top:
            if folder.is_dir():
                yield folder, version
            folder = folder.parent
        yield top, version


def _cached(folder: Path) -> int:
    """Bytes of files that the kernel gives up when others need them, and counts as used."""
    lines = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat"))
    return int(lines.get("total_inactive_file") or lines.get("inactive_file") or 0)


def _number(file: Path) -> int | None:
    words = _words(file)
    # "max", or no such file: no limit. Version 1 says an absurdly large number instead.
    return int(words[0]) if words and words[0].isdecimal() else None


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
