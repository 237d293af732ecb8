"""Whether the whole of a long suite was asked for, or the short form that CI runs."""

from __future__ import annotations

import os

# `make test-package FULL=1`
FULL = bool(os.environ.get("FULL"))
