"""debian/changelog from git: an entry a tag, and on top one for the commits since."""

from __future__ import annotations

import re
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from corpus.contract.version import Version, version_tags
from deploy.build.git import git
from deploy.common.errors import BadSourceError

NAME = "corpus-airflow"
_MAINTAINER = re.compile(r"^Maintainer: (.+)$", re.MULTILINE)


def changelog(repo: Path, version: Version, control: str) -> str:
    """The text of a changelog whose last entry has the given version; `control` is the text of debian/control.

    Dates are those of the commits, so that a build of the same commit is dated the same.
    """
    found = _MAINTAINER.search(control)
    if found is None:
        raise BadSourceError("debian/control names no Maintainer.")
    head = git(repo, "rev-parse", "HEAD")
    marks = [(commit, entry) for commit, entry in _releases(repo) if commit != head]
    marks.append((head, version))
    entries = []
    previous = None
    for commit, entry in marks:
        subjects = _subjects(repo, f"{previous}..{commit}" if previous else commit)
        entries.append(_entry(entry, subjects, found[1], _date(repo, commit)))
        previous = commit
    return "\n".join(reversed(entries))


def epoch(repo: Path) -> int:
    """When the last commit was made: SOURCE_DATE_EPOCH, in seconds."""
    return int(git(repo, "log", "-1", "--format=%ct"))


def _releases(repo: Path) -> list[tuple[str, Version]]:
    """Commits with tags, oldest first; of the tags on one commit the newest version."""
    tags = version_tags(repo)
    newest: dict[str, Version] = {}
    for tag in sorted(tags, key=lambda tag: tags[tag].order):
        newest[git(repo, "rev-list", "-1", tag)] = tags[tag]
    order = git(repo, "rev-list", "--topo-order", "--reverse", "HEAD").splitlines()
    return [(commit, newest[commit]) for commit in order if commit in newest]


def _subjects(repo: Path, commits: str) -> list[str]:
    return git(repo, "log", "--no-merges", "--format=%s", commits).splitlines()


def _date(repo: Path, commit: str) -> str:
    seconds = int(git(repo, "log", "-1", "--format=%ct", commit))
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def _entry(version: Version, subjects: list[str], maintainer: str, date: str) -> str:
    lines = [f"{NAME} ({version.debian}) unstable; urgency=medium", ""]
    for subject in subjects or ["No changes but the version."]:
        lines += textwrap.wrap(
            subject,
            width=78,
            initial_indent="  * ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join([*lines, "", f" -- {maintainer}  {date}", ""])
