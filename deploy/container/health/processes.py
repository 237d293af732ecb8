"""The processes of this container, as /proc shows them.

On a host /proc also shows what runs in its containers. A check must never take one of these for its
own and end it: only what PID 1 of this namespace started counts, and only where that is a container's.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.container.health.errors import HealthError, StartingError

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_ESTABLISHED = "01"
_INIT = re.compile(r"\S*/?(docker-init|tini|catatonit)\b")
_AIRFLOW = re.compile(r"\bairflow\b|^\[celeryd: ")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    title: str
    # Seconds since the epoch.
    started: float


def processes() -> list[Process]:
    """All of this PID namespace that are not zombies."""
    boot = time.time() - float((_PROC / "uptime").read_text().split()[0])
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # One id for each namespace that it is in, from this one inwards. The link ns/pid cannot be
            # read of a process that hides from debuggers, as Airflow's supervisors do.
            status = (folder / "status").read_text()
            if len(status.partition("\nNSpid:")[2].partition("\n")[0].split()) != 1:
                continue
            # The name in parentheses may hold anything, parentheses too.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").strip()
        except OSError:
            continue  # it has ended
        if fields[0] != "Z":
            started = boot + int(fields[19]) / _TICKS
            found.append(
                Process(int(folder.name), int(fields[1]), title.decode(errors="replace"), started)
            )
    return found


def descendants(pid: int, among: list[Process]) -> list[Process]:
    """Children, their children, and so on; parents come first."""
    found: list[Process] = []
    wanted = {pid}
    while grown := [one for one in among if one.parent in wanted]:
        found += grown
        wanted = {one.pid for one in grown}
    return found


def main_process(among: list[Process]) -> Process:
    """What this container was started for: PID 1, or the child of an init that is PID 1.

    Raises `HealthError` if PID 1 is neither: that is a host.
    """
    first = next((one for one in among if one.pid == 1), None)
    if first and _INIT.match(first.title):
        children = [one for one in among if one.parent == 1]
        first = next((one for one in children if _AIRFLOW.search(one.title)), None)
        if first is None:
            raise StartingError("nothing of Airflow runs yet")
    if first is None or not _AIRFLOW.search(first.title):
        raise HealthError("this is not the container of a part of Airflow")
    return first


def ports_to(port: int) -> set[int]:
    """Local ports of this container's connections to a remote port."""
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6
        for line in lines:
            _, local, remote, state = line.split()[:4]
            if state == _ESTABLISHED and int(remote.rpartition(":")[2], 16) == port:
                found.add(int(local.rpartition(":")[2], 16))
    return found
