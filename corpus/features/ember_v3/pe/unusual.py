"""The fast readers' way out."""

from __future__ import annotations


class UnusualError(Exception):
    """The fast reader does not vouch for this file; pefile reads it."""
