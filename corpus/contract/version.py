"""The version of this code: git's answer in a checkout, else what was written when the code was built.

git                          PEP 440                  Debian
no tag, N commits            0.1.0.devN+gabc1234      0.1.0~~devN+gabc1234
v1.4.0a1, v1.4.0b1           1.4.0a1, 1.4.0b1         1.4.0~a1, 1.4.0~b1
v1.4.0rc1                    1.4.0rc1                 1.4.0~rc1
3 commits after v1.4.0rc1    1.4.0rc1+3.gabc1234      1.4.0~rc1+3.gabc1234
v1.4.0                       1.4.0                    1.4.0
15 commits after v1.4.0      1.4.0+15.gabc1234        1.4.0+15.gabc1234

From top to bottom each is newer than the one before, in both orders. Python's own spelling would not do: dpkg
takes 1.4.0rc1 for newer than 1.4.0. If tracked files differ from the commit, `.dirty` follows.

`code_of` looks beside the package `corpus`, in this order:

.git            a checkout. If its commits cannot be counted (a shallow clone, or no git program on the machine), the
                version still names the commit, as 0.0.0+gabc1234, which is older than all others
release.json    a release on a host, or the source that an image is built of; in Debian's spelling
*.dist-info     an installed wheel

This module and its package need the standard library alone: setup.py uses them before anything is installed.
Importing it reads nothing and starts nothing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from corpus.errors import BadInputError, CorpusError, NotFoundError

__all__ = ["Code", "Version", "code_of", "current", "describe", "version_tags"]

_STAGES = {"dev": "~~dev", "a": "~a", "b": "~b", "rc": "~rc", "": ""}
_PEP_440 = re.compile(
    r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc|\.dev)(\d+))?(?:\+([a-z0-9]+(?:\.[a-z0-9]+)*))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?(-dirty)?")
_DISTRIBUTION = "corpus-airflow"


@dataclass(frozen=True)
class Version:
    """X.Y.Z, the stage before it (`dev`, `a`, `b`, `rc`; none of a release), and what came after the tag."""

    release: tuple[int, int, int]
    stage: str = ""
    number: int = 0
    after: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read either spelling. Raises `BadInputError`."""
        found = _PEP_440.fullmatch(text.replace("~~dev", ".dev").replace("~", ""))
        if found is None:
            raise BadInputError(
                f"{text!r} is not a version; use one such as 1.4.0, 1.4.0rc1, 1.4.0.dev12 or 1.4.0+15.gabc1234."
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


# What the commits before the first tag are on their way to.
_FIRST = Version((0, 1, 0))
_UNKNOWN = Version((0, 0, 0), after="unknown")


@dataclass(frozen=True)
class Code:
    """A version as Python writes it, and the commit if it is known, with `-dirty` if files differ from it."""

    version: str
    revision: str | None = None


@cache
def current() -> Code:
    """The version of the code that runs; git is asked at most once a process."""
    return code_of(Path(__file__).resolve().parents[2])


def code_of(folder: Path) -> Code:
    """The version of the package `corpus` in a folder. Always answers: 0.0.0+unknown if nothing there tells."""
    if (folder / ".git").exists():
        return _of_checkout(folder)
    return _of_release(folder) or _of_wheel(folder) or Code(_UNKNOWN.pep440)


def describe(repo: Path, *, worktree: bool = False) -> Version:
    """The version of the last commit, marked `dirty` if `worktree` is wanted and tracked files differ from it.

    Raises `NotFoundError` if git cannot tell, as in a shallow clone, and `BadInputError` if the commit has a misspelt tag.
    """
    shallow, head = _git(repo, "rev-parse", "--is-shallow-repository", "HEAD").split()
    # Always seven digits: git's own abbreviation grows with what else a clone holds.
    commit = f"g{head[:7]}"
    tags = version_tags(repo)
    if shallow == "true":
        # A tag on the commit itself needs no history.
        here = _git(repo, "tag", "--points-at", "HEAD").splitlines()
        tags = {tag: version for tag, version in tags.items() if tag in here}
        if not tags:
            raise NotFoundError(
                f"{repo} is a shallow clone, whose commits and tags cannot be counted: "
                "git fetch --unshallow --tags"
            )
    if tags:
        version, tag = _nearest(repo, tags)
        count = int(_git(repo, "rev-list", "--count", f"{tag}..HEAD"))
        version = replace(version, after=f"{count}.{commit}" if count else "")
    else:
        count = int(_git(repo, "rev-list", "--count", "HEAD"))
        version = replace(_FIRST, stage="dev", number=count, after=commit)
    if worktree and _is_changed(repo):
        # Newer than the commit, and older than the next one.
        version = replace(version, after=f"{version.after or f'0.{commit}'}.dirty")
    return version


def version_tags(repo: Path, commit: str = "HEAD") -> dict[str, Version]:
    """The tags vX.Y.Z, vX.Y.ZrcN and so on in a commit's history. Raises `BadInputError` if it has a misspelt one."""
    found = {}
    here = _git(repo, "tag", "--points-at", commit, "--list", "v[0-9]*").splitlines()
    for tag in _git(repo, "tag", "--merged", commit, "--list", "v[0-9]*").splitlines():
        try:
            version = Version.parse(tag[1:])
            if version.after or tag != f"v{version.pep440}":
                raise BadInputError(f"{tag} is spelt otherwise.")
        except BadInputError:
            if tag in here:
                raise BadInputError(
                    f"The tag {tag} names no version; a tag is as v1.4.0 or v1.4.0rc1."
                ) from None
            continue
        found[tag] = version
    return found


def _nearest(repo: Path, tags: dict[str, Version]) -> tuple[Version, str]:
    """Of the tags on the commit that git describes this one by, the newest version: v1.4.0, not its rc."""
    chosen = [word for tag in tags for word in ("--match", tag)]
    nearest = _git(repo, "describe", "--tags", "--abbrev=0", *chosen, "HEAD")
    same = _git(repo, "tag", "--points-at", f"{nearest}^{{commit}}").splitlines()
    tag = max((tag for tag in same if tag in tags), key=lambda tag: tags[tag].order)
    return tags[tag], tag


def _of_checkout(folder: Path) -> Code:
    head = _head(folder)
    try:
        version = describe(folder, worktree=True)
        head = _git(folder, "rev-parse", "HEAD")
    except CorpusError:
        if head is None:
            return Code(_UNKNOWN.pep440)
        after = f"g{head[:7]}"
        with suppress(CorpusError):
            after += ".dirty" if _is_changed(folder) else ""
        version = replace(_UNKNOWN, after=after)
    return Code(version.pep440, head + ("-dirty" if version.after.endswith("dirty") else ""))


def _of_release(folder: Path) -> Code | None:
    import json

    try:
        found = json.loads((folder / "release.json").read_text(encoding="utf-8"))
        text, revision = str(found["version"]), str(found["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A name that cannot be read is still what the release is called.
    with suppress(BadInputError):
        # After a hyphen comes which build of the version it is, as in Debian.
        text = Version.parse(text.partition("-")[0]).pep440
    return Code(text, revision if _COMMIT.fullmatch(revision) else None)


def _of_wheel(folder: Path) -> Code | None:
    from importlib.metadata import distributions

    # Only beside the package: another installation on the path has another version.
    for found in distributions(name=_DISTRIBUTION, path=[str(folder)]):
        return Code(found.version)
    return None


def _head(repo: Path) -> str | None:
    """The commit that a checkout is on, read without the program git; None if that is not possible."""
    try:
        own = repo / ".git"
        if own.is_file():
            own = repo / own.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        shared = own / "commondir"
        common = own / shared.read_text(encoding="utf-8").strip() if shared.is_file() else own
        head = (own / "HEAD").read_text(encoding="utf-8").strip()
        if head.startswith("ref: "):
            ref = head.removeprefix("ref: ")
            loose = common / ref
            if loose.is_file():
                head = loose.read_text(encoding="utf-8").strip()
            else:
                packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
                head = next((line.split()[0] for line in packed if line.endswith(f" {ref}")), "")
    except (OSError, ValueError):
        return None
    return head if _COMMIT.fullmatch(head) else None


def _is_changed(repo: Path) -> bool:
    return bool(_git(repo, "status", "--porcelain", "--untracked-files=no"))


def _git(repo: Path, *arguments: str) -> str:
    """What git prints, without the last newline. Raises `NotFoundError`."""
    import subprocess

    # This repository and no other, whatever a hook's environment says or who owns it; and nothing is written.
    own = ("--no-optional-locks", "--git-dir=.git", "--work-tree=.")
    command = ["git", "-C", str(repo), *own, *arguments]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise NotFoundError(f"git cannot be run ({error.strerror}): apt-get install git") from None
    if done.returncode:
        raise NotFoundError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")
