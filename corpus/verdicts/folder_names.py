"""Labels from names of folders: `malicious/emotet/FILE`, `benign/FILE`, and what lies deeper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from corpus.rows.bad_value import BadValueError
from corpus.verdicts import fields
from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.formats import verdict_of
from corpus.verdicts.hash_list import kind_of_hash
from corpus.verdicts.outcome import ByOtherHash
from corpus.verdicts.record import MANIFEST, Verdict
from corpus.verdicts.voice import Voice

FOLDERS = "folders"


def from_path(
    path: str, voice: Voice, families: FamilyNames, sha256_of: Callable[[], str]
) -> Verdict | ByOtherHash:
    """The verdict on a file by its path below the feed's place.

    The outermost folder with a verdict's name (malicious, malware, benign, goodware, clean and so on) gives the verdict,
    the next one below it the family. The file is the one whose hash it is named by, or else `sha256_of` is asked.
    Raises `BadValueError` if no folder is named so.
    """
    *folders, name = PurePosixPath(path).parts
    for depth, folder in enumerate(folders):
        try:
            verdict = verdict_of(folder, "folder")
        except BadValueError:
            continue
        named = folders[depth + 1] if len(folders) > depth + 1 else None
        break
    else:
        raise BadValueError("lies in no folder that has the name of a verdict.", "no_verdict")
    stem = name.split(".")[0].lower()
    kind = kind_of_hash(stem)
    family = families.read(named)
    found = Verdict(
        sha256=fields.digest(stem, kind) if kind == "sha256" else "",
        verdict=verdict,
        reporter=voice.reporter(None, FOLDERS),
        family=family,
        family_confidence=1.0 if family else None,
        source_kind=voice.kind(MANIFEST),
    )
    if kind in ("md5", "sha1"):
        return ByOtherHash(stem, found)
    return found if found.sha256 else found._replace(sha256=sha256_of())
