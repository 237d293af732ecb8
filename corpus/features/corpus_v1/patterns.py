"""The patterns of the group strings: those of ember-v3, each in its column, spelt right."""

from __future__ import annotations

import string

from corpus.features.ember_v3.kernels import strings
from corpus.features.ember_v3.kernels.patterns import ANY, Literal, Matcher, PatternTable

__all__ = ["TABLE"]

_MENDED: dict[str, tuple[Literal | Matcher, ...]] = {
    "email_addr": (Matcher.EMAIL,),
    # Of a drive. "s://" is the end of a scheme, not a path.
    "file_path": (
        Literal(":\\", word=True, before=string.ascii_letters),
        Literal(":/", word=True, before=string.ascii_letters, after=ANY.replace("/", "")),
    ),
    "registry_key": tuple(Literal(it, word=True) for it in ("HKEY_", "HKLM", "HKCU")),
    "base64string": (Literal(string.ascii_uppercase + string.ascii_lowercase + "0123456789+/"),),
    ".click(": (Literal(".click(", ignore_case=True),),
    # Case mattered in no other English word, and CryptAcquireContext did not count.
    "crypt": (Literal("crypt", ignore_case=True),),
    # PowerShell knows no case, and its own documentation writes Start-Process.
    **{
        command: (Literal(command, ignore_case=True),)
        for command in ("Invoke-Expression", "Invoke-Command", "Start-process")
    },
}

TABLE = PatternTable({**strings.PATTERNS, **_MENDED})
