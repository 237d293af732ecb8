"""What a person is told when the host command cannot do something.

HostError            1
  Unrecorded         1    a release is current, and the history does not say so
  BadInputError           2    what was typed, or a setting
  Damaged            3    files are not those that were built
  Unavailable       75    what is needed does not answer; nothing was changed, and later it may work
"""

from __future__ import annotations


class HostError(Exception):
    """Said in full to who typed the command; `status` is how the command ends."""

    status = 1


class Unrecorded(HostError):
    pass


class BadInputError(HostError):
    status = 2


class DamagedError(HostError):
    status = 3


class Unavailable(HostError):
    # EX_TEMPFAIL of sysexits.h.
    status = 75
