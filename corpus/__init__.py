"""A malware-ML training corpus: services that update it, and snapshots to load."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus import features
    from corpus.snapshots.reader import open_snapshot

__all__ = ["__version__", "features", "open_snapshot"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Deferred: a service's command should not pay for the readers' libraries.
    if name == "open_snapshot":
        from corpus.snapshots.reader import open_snapshot

        return open_snapshot
    if name == "features":
        return import_module("corpus.features")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
