"""What tests of the package's making begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkouts import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")
