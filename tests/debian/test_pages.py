"""Pages that the package's files name lie where the package puts them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

REPO = Path(__file__).resolve().parents[2]
_PAGE = re.compile(r"/usr/share/doc/corpus-airflow/([\w/.-]+\.md)")


@pytest.mark.parametrize("name", ["corpus.toml", "corpus-airflow.8"])
def test_a_page_that_is_named_is_installed(name: str):
    # Roff writes a hyphen with a backslash.
    named = _PAGE.findall((REPO / "debian" / name).read_text().replace("\\-", "-"))
    assert named
    installed = (REPO / "debian" / "install").read_text().split()
    for page in named:
        assert (REPO / "docs" / page).is_file(), page
        assert f"docs/{page.partition('/')[0]}" in installed, page
