"""What a check finds.

HealthError                 the part does not do its work
├── StartingError           ... because it only just started
├── UnreachableError        ... because something it depends on is away: a restart of the part mends nothing
└── RedisError              Redis answered a command with an error

Its text is the one line that `docker inspect` shows.
"""

from __future__ import annotations

from deploy.common.errors import HealthError

__all__ = ["HealthError", "RedisError", "StartingError", "UnreachableError"]


class StartingError(HealthError):
    pass


class UnreachableError(HealthError):
    pass


class RedisError(HealthError):
    pass
