"""Which barriers stand between a parser of hostile bytes and the rest."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.sandbox import landlock


@dataclass(frozen=True)
class Barriers:
    """All that the kernel has, unless a test or a measurement leaves one out: no setting does.

    :param landlock: the version of Landlock to use at most; 0 is none.
    :param system_calls: whether system calls are filtered.
    """

    landlock: int = landlock.NEWEST
    system_calls: bool = True


ALL = Barriers()
