"""What ends the init job or the start of the API server with a message for an administrator.

InitError                   says what is wrong, and what to do
├── BadUsersError           users.toml, or the file of a password, cannot be used
└── BadDatabaseError        the metadata database is not there, or not one for this Airflow
"""

from __future__ import annotations

from deploy.common.errors import InitError

__all__ = ["BadDatabaseError", "BadUsersError", "InitError"]


class BadUsersError(InitError):
    pass


class BadDatabaseError(InitError):
    pass
