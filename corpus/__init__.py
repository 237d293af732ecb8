"""A malware-ML training corpus: services that update it, and snapshots to load.

What is named here is the public face, which an update of the package keeps: `open_snapshot` reads a
snapshot, `features` has the feature sets, `errors` all errors that are raised on purpose.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus import errors, features
    from corpus.snapshots.dataset import open_snapshot

__all__ = ["errors", "features", "open_snapshot"]


def __getattr__(name: str) -> Any:
    # Deferred: a service's command should not pay for the readers' libraries.
    if name == "open_snapshot":
        from corpus.snapshots.dataset import open_snapshot

        return open_snapshot
    if name in ("errors", "features"):
        return import_module(f"corpus.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
