"""What can go wrong with a cluster."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why, and what to do."""
