"""Packages that are built once, and roots to install them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.build.package.build import Built
from tests.system.package.packages import Packages


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """`build(version, change=None)`: the path of a .deb; see `Packages`."""
    return Packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def built(build: Packages) -> Built:
    """All files that a build of this checkout makes."""
    return build.whole()


@pytest.fixture(scope="session")
def deb(built: Built) -> Path:
    """This checkout's package."""
    return built.deb


@pytest.fixture(scope="session")
def older_deb(build: Packages) -> Path:
    """A package that is older than `deb`, whose code says another version."""
    return build("0.0.1")
