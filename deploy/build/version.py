"""Versions from git, as Python orders them (PEP 440) and as dpkg does.

git                          PEP 440                  Debian
no tag, N commits            0.1.0.devN+gabc1234      0.1.0~~devN+gabc1234
v1.4.0a1, v1.4.0b1           1.4.0a1, 1.4.0b1         1.4.0~a1, 1.4.0~b1
v1.4.0rc1                    1.4.0rc1                 1.4.0~rc1
3 commits after v1.4.0rc1    1.4.0rc1+3.gabc1234      1.4.0~rc1+3.gabc1234
v1.4.0                       1.4.0                    1.4.0
15 commits after v1.4.0      1.4.0+15.gabc1234        1.4.0+15.gabc1234

From top to bottom each is newer than the one before, in both orders. Python's own spelling would not do: dpkg
takes 1.4.0rc1 for newer than 1.4.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.common.errors import BadSourceError, BadVersionError
from deploy.build.git import git, is_changed

_STAGES = {"dev": "~~dev", "a": "~a", "b": "~b", "rc": "~rc", "": ""}
_PEP_440 = re.compile(
    r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc|\.dev)(\d+))?(?:\+([a-z0-9]+(?:\.[a-z0-9]+)*))?"
)
_OWN = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)


@dataclass(frozen=True)
class Version:
    """X.Y.Z, the stage before it (`dev`, `a`, `b`, `rc`; none of a release), and what came after the tag."""

    release: tuple[int, int, int]
    stage: str = ""
    number: int = 0
    after: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read either spelling. Raises `BadVersionError`."""
        found = _PEP_440.fullmatch(text.replace("~~dev", ".dev").replace("~", ""))
        if found is None:
            raise BadVersionError(
                f"{text!r} is no version; use one as 1.4.0, 1.4.0rc1, 1.4.0.dev12 or 1.4.0+15.gabc1234."
            )
        major, minor, patch, stage, number, after = found.groups()
        release = (int(major), int(minor), int(patch))
        return cls(release, (stage or "").lstrip("."), int(number or 0), after or "")

    @property
    def pep440(self) -> str:
        stage = {"": "", "dev": f".dev{self.number}"}.get(self.stage, f"{self.stage}{self.number}")
        return self._release + stage + self._after

    @property
    def debian(self) -> str:
        return self._release + self._debian_stage + self._after

    @property
    def is_release(self) -> bool:
        """Whether this is what a tag names, and not a build on the way."""
        return not self.after

    @property
    def _release(self) -> str:
        return ".".join(str(part) for part in self.release)

    @property
    def _debian_stage(self) -> str:
        return f"{_STAGES[self.stage]}{self.number}" if self.stage else ""

    @property
    def _after(self) -> str:
        return f"+{self.after}" if self.after else ""

    @property
    def order(self) -> tuple[tuple[int, int, int], int, int]:
        """Sorts versions that tags name."""
        return self.release, list(_STAGES).index(self.stage), self.number


def describe(repo: Path, *, worktree: bool = False) -> Version:
    """The version of the last commit, marked `dirty` where `worktree` is wanted and differs from it.

    Raises `BadSourceError`, as for a clone without its history, and `BadVersionError`.
    """
    if git(repo, "rev-parse", "--is-shallow-repository") == "true":
        raise BadSourceError(
            f"{repo} is a shallow clone, whose commits and tags cannot be counted: "
            "git fetch --unshallow --tags"
        )
    # Always seven digits: git's own abbreviation grows with what else a clone holds.
    commit = "g" + git(repo, "rev-parse", "HEAD")[:7]
    tags = version_tags(repo)
    if tags:
        version, tag = _nearest(repo, tags)
        count = int(git(repo, "rev-list", "--count", f"{tag}..HEAD"))
        version = replace(version, after=f"{count}.{commit}" if count else "")
    else:
        count = int(git(repo, "rev-list", "--count", "HEAD"))
        version = replace(own(repo), stage="dev", number=count, after=commit)
    if worktree and is_changed(repo):
        # Newer than the commit, and older than the next one.
        version = replace(version, after=f"{version.after or f'0.{commit}'}.dirty")
    return version


def version_tags(repo: Path, commit: str = "HEAD") -> dict[str, Version]:
    """The tags vX.Y.Z, vX.Y.ZrcN and so on in a commit's history. Raises `BadVersionError`, if it bears a misspelt one."""
    found = {}
    here = git(repo, "tag", "--points-at", commit, "--list", "v[0-9]*").splitlines()
    for tag in git(repo, "tag", "--merged", commit, "--list", "v[0-9]*").splitlines():
        try:
            version = Version.parse(tag[1:])
            if version.after or tag != f"v{version.pep440}":
                raise BadVersionError
        except BadVersionError:
            if tag in here:
                raise BadVersionError(
                    f"The tag {tag} names no version; a tag is as v1.4.0 or v1.4.0rc1."
                ) from None
            continue
        found[tag] = version
    return found


def own(repo: Path) -> Version:
    """`corpus.__version__`, read without an import: what the code is on its way to where no tag says so."""
    file = repo / "corpus" / "__init__.py"
    found = _OWN.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    if found is None:
        raise BadSourceError(f"{file} does not set __version__; is {repo} the checkout?")
    return Version.parse(found[1])


def stamp(folder: Path, version: Version) -> None:
    """Make a version the code's own, so that snapshots and `corpus --version` name what was installed."""
    own(folder)
    file = folder / "corpus" / "__init__.py"
    text = _OWN.sub(f'__version__ = "{version.pep440}"', file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")


def _nearest(repo: Path, tags: dict[str, Version]) -> tuple[Version, str]:
    """Of the tags on the commit that git describes this one by, the newest version: v1.4.0, not its rc."""
    chosen = [word for tag in tags for word in ("--match", tag)]
    nearest = git(repo, "describe", "--tags", "--abbrev=0", *chosen, "HEAD")
    same = git(repo, "tag", "--points-at", f"{nearest}^{{commit}}").splitlines()
    tag = max((tag for tag in same if tag in tags), key=lambda tag: tags[tag].order)
    return tags[tag], tag
