"""Run a command, and end it with all it started as soon as standard input closes.

    python supervisor.py SECONDS COMMAND ARGUMENT...

The caller holds the other end of standard input. Whatever happens to it, kill -9 included, the
kernel closes that end; the supervisor then sends TERM to the command's process group, and KILL after
SECONDS. A parent-death signal alone would reach the command only, not its children. Runs by path
with the standard library alone, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1


def start(command: list[str], supervisor: int) -> int:
    """Start the command as leader of a session of its own; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        # Should the supervisor itself be killed, nobody would be left to stop the command.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(128 + signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(127)


def main(arguments: list[str]) -> int:
    grace, command = float(arguments[0]), arguments[1:]
    # Signals for a whole group are meant for the command; the supervisor ends when it does.
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    child = start(command, os.getpid())
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(ended, select.POLLIN)
    if ended not in dict(poll.poll()):
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGTERM)
        poll.unregister(0)
        poll.poll(grace * 1000)
    # The command is not reaped yet, so that its number cannot belong to a stranger's group.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
