"""Machine code that was compiled when an image was built, and is only read from then on.

Named to numba by NUMBA_CACHE_LOCATOR_CLASSES=corpus.features.kernel_cache.BuiltKernels.
"""

from __future__ import annotations

import os

from numba.core.caching import UserProvidedCacheLocator


class BuiltKernels(UserProvidedCacheLocator):
    """The folder NUMBA_CACHE_DIR, even if it is read-only: numba itself takes none it cannot write."""

    def ensure_cache_path(self) -> None:
        """Make the folder if it is missing; raises `OSError` if that cannot be done."""
        os.makedirs(self.get_cache_path(), exist_ok=True)  # type: ignore[no-untyped-call]
