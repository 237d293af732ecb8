"""Keys of the store: relative paths that stay in it."""

from __future__ import annotations

from corpus.errors import BadInputError

# S3 takes no longer ones.
_MOST = 1_024


def require_key(key: str) -> str:
    """Return the key. Raises `BadInputError` for one that leads out of the store, as only a key does that
    somebody else has written into it.
    """
    if len(key) > _MOST or "\0" in key or key.startswith("/") or ".." in key.split("/"):
        raise BadInputError(
            "a key of the store is not a relative path without `..`.",
            hint="Somebody has changed what the store holds: `corpus verify` looks at a snapshot.",
        )
    return key
