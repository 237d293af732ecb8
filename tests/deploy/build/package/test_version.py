"""Versions: what git says becomes one that Python and dpkg order alike."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from corpus.contract.version import Version, describe
from corpus.errors import BadInputError, NotFoundError
from tests.support.checkouts import Checkout

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

# As time goes by: each is newer than the one before.
ORDER = [
    "0.1.0.dev9+gabc1234",
    "0.1.0.dev10+g0123456",
    "0.1.0.dev263+gabc1234",
    "0.1.0.dev263+gabc1234.dirty",
    "0.1.0.dev1000+gabc1234",
    "0.1.0a1",
    "0.1.0",
    "0.9.0",
    "0.10.0",
    "1.3.9+200.gabc1234",
    "1.4.0.dev1",
    "1.4.0.dev12",
    "1.4.0a1",
    "1.4.0a1+1.gfff0000",
    "1.4.0a2",
    "1.4.0a10",
    "1.4.0b1",
    "1.4.0rc1",
    "1.4.0rc1+0.gabc1234.dirty",
    "1.4.0rc1+3.gabc1234",
    "1.4.0rc1+3.gabc1234.dirty",
    "1.4.0rc1+12.g0000000",
    "1.4.0rc2",
    "1.4.0rc10",
    "1.4.0",
    "1.4.0+0.gabc1234.dirty",
    "1.4.0+1.gfffffff",
    "1.4.0+9.gfffffff",
    "1.4.0+15.gabc1234",
    "1.4.0+15.gabc1234.dirty",
    "1.4.0+100.g0000000",
    "1.4.1.dev1",
    "1.4.1rc1",
    "1.4.1",
    "1.5.0rc1",
    "1.5.0",
    "1.10.0",
    "2.0.0a1",
    "2.0.0",
]


def precedes(one: str, other: str) -> bool:
    done = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False)
    assert done.returncode in (0, 1)
    return done.returncode == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
def test_dpkg_orders_versions_as_they_came_to_be():
    debian = [Version.parse(text).debian for text in ORDER]
    for one, other in itertools.pairwise(debian):
        assert precedes(one, other), f"{one} is not older than {other}"
        assert not precedes(other, one)


def test_python_orders_them_in_the_same_way():
    packaging = pytest.importorskip("packaging.version", reason="packaging is not installed")
    versions = [packaging.Version(text) for text in ORDER]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(ORDER)
    assert [str(version) for version in versions] == ORDER


def test_both_spellings_are_read():
    for text in ORDER:
        version = Version.parse(text)
        assert version.pep440 == text
        assert Version.parse(version.debian) == version
    assert Version.parse("1.4.0rc1").debian == "1.4.0~rc1"
    assert Version.parse("1.4.0.dev12").debian == "1.4.0~~dev12"
    assert Version.parse("1.4.0+15.gabc1234").debian == "1.4.0+15.gabc1234"


def test_pythons_own_spelling_would_not_do():
    """Why there is a mapping at all."""
    assert precedes("1.4.0", "1.4.0rc1")
    assert precedes("1.4.0", "1.4.0.dev12")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.4",
        "v1.4.0",
        "1.4.0-1",
        "1.4.0rc",
        "1.4.0.post1",
        "1.4.0rc1.dev2",
        "1.4.0+A b",
        "1.4.0\n",
    ],
)
def test_what_has_no_place_in_the_order_is_refused(text: str):
    with pytest.raises(BadInputError, match="is not a version; use one such as"):
        Version.parse(text)


def test_without_a_tag_it_is_a_build_on_the_way_to_the_first_release(checkout: Checkout):
    assert checkout.version == f"0.1.0~~dev1+{checkout.digits}"
    checkout.commit("Second")
    assert checkout.version == f"0.1.0~~dev2+{checkout.digits}"
    assert describe(checkout.folder).pep440 == f"0.1.0.dev2+{checkout.digits}"


def test_a_tag_names_a_release_and_commits_after_it_are_counted(checkout: Checkout):
    seen = [checkout.version]
    for tag in ("v0.1.0rc1", "v0.1.0", "v0.2.0"):
        checkout.commit(f"For {tag}")
        seen.append(checkout.version)
        checkout.git("tag", tag)
        assert checkout.version == Version.parse(tag[1:]).debian
        seen.append(checkout.version)
    checkout.commit("After")
    assert checkout.version == f"0.2.0+1.{checkout.digits}"
    seen.append(checkout.version)
    assert seen[3] == f"0.1.0~rc1+1.{seen[3].rpartition('.')[2]}"
    assert all(itertools.starmap(precedes, itertools.pairwise(seen)))


@pytest.mark.parametrize("annotated", [[], ["-m", "A release"]], ids=["lightweight", "annotated"])
def test_a_release_that_is_its_candidate_unchanged_is_the_release(
    checkout: Checkout, annotated: list[str]
):
    for tag in ("v1.0.0", "v1.0.0rc10", "v1.0.0rc9"):
        checkout.git("tag", *annotated, tag)
    assert checkout.version == "1.0.0"
    checkout.commit("After")
    assert checkout.version == f"1.0.0+1.{checkout.digits}"


def test_tags_that_name_no_version_do_not_count_but_at_the_commit_itself(checkout: Checkout):
    checkout.git("tag", "nightly")
    checkout.git("tag", "v1.4")
    with pytest.raises(
        BadInputError, match=r"The tag v1\.4 names no version; a tag is as v1\.4\.0"
    ):
        describe(checkout.folder)
    checkout.commit("Second")
    assert checkout.version == f"0.1.0~~dev2+{checkout.digits}"


def test_a_tag_of_another_branch_does_not_count(checkout: Checkout):
    checkout.git("checkout", "-q", "-b", "other")
    checkout.commit("There")
    checkout.git("tag", "v9.0.0")
    checkout.git("checkout", "-q", "main")
    assert checkout.version == f"0.1.0~~dev1+{checkout.digits}"


def test_the_tree_as_it_is_is_marked_where_it_differs(checkout: Checkout):
    checkout.git("tag", "v1.0.0")
    assert describe(checkout.folder, worktree=True).debian == "1.0.0"
    (checkout.folder / "untracked").write_text("x")
    assert describe(checkout.folder, worktree=True).debian == "1.0.0"
    (checkout.folder / "corpus" / "__init__.py").write_text('"""Changed."""\n')
    assert checkout.version == "1.0.0"
    assert describe(checkout.folder, worktree=True).debian == f"1.0.0+0.{checkout.digits}.dirty"


def test_a_clone_without_its_history_is_refused(checkout: Checkout, tmp_path: Path):
    checkout.commit("Second")
    clone = tmp_path / "clone"
    checkout.git("clone", "-q", "--depth=1", f"file://{checkout.folder}", str(clone))
    with pytest.raises(NotFoundError, match="git fetch --unshallow --tags"):
        describe(clone)


def test_what_is_no_checkout_is_told(tmp_path: Path):
    with pytest.raises(NotFoundError, match="not a git repository"):
        describe(tmp_path)
