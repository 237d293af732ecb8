"""Which files are read, and as whom each of them speaks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from corpus.errors import BadInputError
from corpus.places.place import Place
from corpus.settings.feeds import Feed
from corpus.sources.files import Files, shown
from corpus.sources.listing import Patterns, SourceFile, Unreadable, list_files
from corpus.sources.location import decode, encode
from corpus.verdicts.voice import TYPED, Voice


class VerdictFile(NamedTuple):
    """A file, the feed that it belongs to, and as whom it speaks."""

    file: SourceFile
    feed: Feed
    voice: Voice

    @property
    def seen_location(self) -> str:
        """Under which name it is marked as seen.

        A verdict file may lie in a folder of samples: that `collect` has seen it there is not enough. Nor is it that
        it was typed once, when its folder becomes a feed.
        """
        return f"{'form' if self.voice.typed else 'verdicts'}:{self.file.location}"

    def fingerprint(self, rejected: bool, earliest: str) -> str:
        """How it is marked as seen: with rejects together with what they depended on, so that a change is news."""
        if not rejected:
            return self.file.fingerprint
        feed = self.feed.model_dump_json(include={"reporter", "format", "columns"})
        digest = hashlib.sha256(f"{feed}{earliest}".encode()).hexdigest()[:16]
        return f"{self.file.fingerprint}/{digest}"


def listed(typed: Sequence[str], feeds: Sequence[Feed], access: Files) -> list[VerdictFile]:
    """The files of what was typed, or else of all feeds, each once, by location.

    Hidden ones below a folder are left out. A file that lies in several places belongs to the innermost feed.
    """
    inner = sorted(feeds, key=lambda feed: (-len(feed.place), feed.place))
    places: list[tuple[str, Feed | None]] = [(feed.place, feed) for feed in inner]
    if typed:
        places = [(url, None) for url in typed]
    found: dict[str, VerdictFile] = {}
    for place, feed in places:
        for file in _files(place, access):
            belongs = feed or _feed_at(file.location, inner, access)
            if belongs:
                each = VerdictFile(file, belongs, Voice.of(belongs))
            else:
                each = VerdictFile(file, Feed(place=place), TYPED)
            found.setdefault(file.location, each)
    return [found[location] for location in sorted(found)]


def _files(place: str, access: Files) -> list[SourceFile]:
    files = []
    try:
        # The place itself is not matched against the patterns.
        for file in list_files(place, access, Patterns(exclude=(".*",))):
            if isinstance(file, Unreadable):
                raise BadInputError(f"cannot be read: {file.detail}.", file=file.location)
            files.append(file)
    except BadInputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise BadInputError(
            "there is no such verdict file or folder.",
            file=shown(place),
            hint="Check `verdicts.feeds`: `corpus config` prints it.",
        ) from error
    return files


def _feed_at(location: str, inner: Sequence[Feed], access: Files) -> Feed | None:
    """The innermost feed in which a file lies, links resolved: it is the feed's, whoever names it."""
    return next((feed for feed in inner if _lies_in(location, access.place(feed.place))), None)


def _lies_in(location: str, place: Place) -> bool:
    if place.is_local != location.startswith("/"):
        return False
    if place.is_local:
        path, base = (os.path.realpath(each) for each in (decode(location), place.path))
        return os.path.commonpath([path, base]) == base
    return f"{location}/".startswith(f"{encode(place.path).rstrip('/')}/")
