"""What ends the init job or the start of the API server with a message for an administrator.

Refusal
    BadUsers        users.toml, or a password's file, cannot be used
    BadDatabase     the metadata database is not there, or not one for this Airflow
"""


class Refusal(Exception):
    """Says what is wrong, and what to do."""


class BadUsers(Refusal):
    pass


class BadDatabase(Refusal):
    pass
