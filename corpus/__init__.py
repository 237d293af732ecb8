"""A malware-ML training corpus: services that update it, and snapshots to load."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus import features
    from corpus.snapshots.reader import open_snapshot

    __version__: str

__all__ = ["__version__", "features", "open_snapshot"]


def __getattr__(name: str) -> Any:
    # Deferred: a service's command should not pay for the readers' libraries.
    if name == "open_snapshot":
        from corpus.snapshots.reader import open_snapshot

        return open_snapshot
    if name == "__version__":
        # Computed on use: in a checkout it is asked of git.
        from corpus.contract.version import current

        return current().version
    if name == "features":
        return import_module("corpus.features")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
