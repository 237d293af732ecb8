"""A stop that always ends the command: orderly if that is possible, and by force soon after if not.

Python runs a signal's handler between two steps of the main thread. If that thread has just begun to
wait for input, or takes a lock that others need in order to end, the exception which the handler raises
comes never, or leaves the lock taken for ever. So a thread of its own learns of the signal too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from types import FrameType
from typing import NoReturn

from corpus.store.unfinished import drop_unfinished

# Less than the patience of those who kill what does not end: the process runner's is 3 s.
_PATIENCE_S = 2.0
_NUDGE_S = 0.1
_STDERR = 2
_STOPS = (signal.SIGINT, signal.SIGTERM)


class Stops:
    """From now on SIGTERM and SIGINT, unless they are ignored, end this process with 128 plus their number.

    The main thread gets `SystemExit` or `KeyboardInterrupt`, so that open context managers stop their
    children. If the process is still there 2 s later, what it has half written to local files is
    removed and it ends at once. A second signal within that time changes nothing.
    """

    def __init__(self) -> None:
        self._raised = False
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        main = threading.main_thread().ident
        threading.Thread(target=self._watch, args=(reader, main), name="stops", daemon=True).start()
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in _STOPS:
            # A shell starts what runs in the background with SIGINT ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._raised:
            return
        self._raised = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def _watch(self, reader: int, main: int) -> NoReturn:
        number = 0
        while number not in _STOPS:
            number = os.read(reader, 1)[0]
        try:
            end = time.monotonic() + _PATIENCE_S
            while time.monotonic() < end:
                time.sleep(_NUDGE_S)
                if not self._raised:
                    # It waits for what may never come; a signal of its own interrupts that.
                    signal.pthread_kill(main, number)
            _tell("Stopped.\n")
            drop_unfinished()
        finally:
            os._exit(128 + number)


def _tell(words: str) -> None:
    """Write to standard error if that can be done at once: its stream may be locked, its reader gone."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, words.encode())
