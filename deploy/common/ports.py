"""Ports of this machine: a free one, and who holds one that is not."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LISTENS = "0A"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Whether a program could listen there. Raises `OSError` if that is no address of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: what is left of ended connections is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            # Below 1024. Whoever is to listen there may.
            return True
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def holder(port: int) -> str | None:
    """Return the name and number of a process that listens on a port; None if that is not to be seen.

    Of other people's processes only root sees it.
    """
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in Path("/proc").iterdir() if wanted else ():
        if not process.name.isdecimal():
            continue
        # It may end at any time, or be somebody else's.
        with contextlib.suppress(OSError):
            for open_file in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(open_file.readlink()) in wanted:
                        return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port, on whichever address."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
