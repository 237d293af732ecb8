"""Verdicts from the folders in which samples lie."""

from __future__ import annotations

import hashlib
import os

from corpus.places.place import Place
from corpus.rows.bad_value import BadValueError
from corpus.rows.row import BadRow
from corpus.services.import_verdicts.feeds import VerdictFile
from corpus.settings import Settings
from corpus.sources.files import Files, reason_of
from corpus.sources.location import decode, encode
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.folder_names import from_path
from corpus.verdicts.outcome import ByOtherHash, Outcome

_CHUNK = 1 << 20


def outcome_of(each: VerdictFile, access: Files, settings: Settings) -> Outcome:
    """What the path of one sample says; its bytes are read only if it is not named by a hash."""
    families = FamilyNames(settings.verdicts.family_aliases)
    location = each.file.location

    def sha256() -> str:
        if each.file.stat.size > settings.sources.max_file_bytes:
            raise BadValueError("is larger than sources.max_file_bytes.", "too_large")
        digest = hashlib.sha256()
        try:
            with access.open(location) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise BadValueError(f"cannot be read: {reason_of(error)}.", "unreadable") from error
        return digest.hexdigest()

    try:
        found = from_path(
            _below(location, access.place(each.feed.place)), each.voice, families, sha256
        )
    except BadValueError as error:
        return BadRow.of(1, error)
    if isinstance(found, ByOtherHash):
        return ByOtherHash(found.digest, found.verdict._replace(file=location, row=1))
    return found.identified(file=location, row=1)


def _below(location: str, place: Place) -> str:
    if place.is_local:
        return encode(os.path.relpath(decode(location), place.path))
    return location.removeprefix(encode(place.path).rstrip("/")).lstrip("/")
