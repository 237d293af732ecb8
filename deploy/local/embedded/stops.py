"""The signals that end a command in an orderly way."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

# SIGHUP is the end of its terminal.
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed_stops() -> None:
    """From now on the first of them raises `SystemExit` with 128 plus its number; the others do nothing then.

    One that is ignored stays so: `nohup` ignores SIGHUP, and a shell SIGINT for what runs in its background.
    """
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def ignore_stops() -> None:
    """From now on none of them does anything: another Ctrl-C must not cut the cleaning short."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    # Two may come at once, and the second would be raised where the first is being dealt with.
    ignore_stops()
    raise SystemExit(128 + signum)
