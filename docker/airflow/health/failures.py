"""What a check finds.

Failure             the part does not do its work
    Starting        ... because it only just started
    Unreachable     ... because something it depends on is away: a restart of the part mends nothing
"""


class Failure(Exception):
    """Its text is the one line that `docker inspect` shows."""


class Starting(Failure):
    pass


class Unreachable(Failure):
    pass
