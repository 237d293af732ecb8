"""`python -m corpus` is the `corpus` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas wherever it is installed: longer work than most tasks have, for nothing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("the corpus command does without pandas", name=fullname)
        return None


if __name__ == "__main__":
    sys.meta_path.insert(0, WithoutPandas())
    from corpus.cli import main

    main()
