"""The group strings: printable strings, and the patterns of the definition in them."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.features.ember_v3.kernels.compiled import byte_array
from corpus.features.ember_v3.kernels.patterns import ANY, Literal, Matcher, PatternTable

__all__ = ["PATTERNS", "TABLE", "strings", "strings_vector"]

_URL = string.ascii_letters + string.digits + "-._~:?#[]@!$&'()*+,;="

# Patterns of EMBER2024 by the names that they have there, which are not always what they look for:
# email_addr is mac_addr again, ".click(" needs any character before "click" and none behind, the
# keys of the registry are misspelt, and the + of base64string stands for more nines.
PATTERNS: dict[str, tuple[Literal | Matcher, ...]] = {
    "url": tuple(Literal(f"{it}://", word=True, after=_URL) for it in ("http", "https", "ftp")),
    "ipv4_addr": (Matcher.IPV4,),
    "ipv6_addr": (Matcher.IPV6,),
    "mac_addr": (Matcher.MAC,),
    "email_addr": (Matcher.MAC,),
    "btc_wallet": (Matcher.BTC_WALLET,),
    "file_path": (Literal("C:/", word=True),),
    "registry_key": tuple(Literal(it, word=True) for it in ("KHEY_", "KHLM", "HKCU")),
    "dos_msg": (Literal("!This program "),),
    "base64string": (
        Literal(string.ascii_letters.swapcase() + string.digits, repeats=True, after="/"),
    ),
    ".click(": (Literal("click", ignore_case=True, before=ANY),),
    "onlick": (Literal("onclick", ignore_case=True),),
    "get": (Literal("GET /", ignore_case=True),),
    "post": (Literal("POST /", ignore_case=True),),
    "http": (Literal("HTTP/", ignore_case=True),),
    "ftp": (Literal("ftp:", ignore_case=True),),
    "useragent": (Literal("User-Agent", ignore_case=True),),
    # These are their own names; case matters,
    **{
        text: (Literal(text),)
        for text in (
            "/dev/", "/proc/", "/bin/", "/usr/", "/tmp/", "/URI", "/FlateDecode", "/EmbeddedFile",  # noqa: S108
            "Invoke-Expression", "Invoke-Command", "Start-process", "crypt",
        )
    },
    # or it does not.
    **{
        text: (Literal(text, ignore_case=True),)
        for text in (
            "html", "javascript", "<script", "powershell", "http://", "https://", "cookie",
            "internet", "download", "connect", "base64", "encode", "decode", "cache", "certificate",
            "clipboard", "command", "create", "debug", "delete", "desktop", "directory", "disk",
            "environment", "enum", "exit", "file", "hostname", "install", "hidden", "keyboard",
            "memory", "module", "mutex", "password", "privilege", "process", "remote", "resource",
            "security", "service", "shell", "snapshot", "system", "thread", "token", "wallet",
            "window",
        )
    },
}  # fmt: skip
TABLE = PatternTable(PATTERNS)


def strings(data: bytes, table: PatternTable = TABLE) -> dict[str, Any]:
    """The raw features of the group: strings are runs of five or more bytes from 0x20 to 0x7f.

    `string_counts` says by a pattern's name in how many strings it is found, if in any at all;
    `printabledist` how often each of the 96 characters occurs, `entropy` is that of those counts.
    """
    number, counts, found = table.search(byte_array(data))
    printables = counts.sum()
    entropy = 0.0
    if number:
        # numpy's own arithmetic and types, as in the definition: float32 / int64 is float64.
        p = counts.astype(np.float32) / printables
        p = p[np.flatnonzero(counts)]
        entropy = float(np.sum(-p * np.log2(p)))
    return {
        "numstrings": number,
        "avlength": int(printables) / number if number else 0,
        "printabledist": counts.tolist(),
        "printables": int(printables),
        "entropy": entropy,
        "string_counts": {
            name: count for name, count in zip(table.names, found.tolist(), strict=True) if count
        },
    }


def strings_vector(raw: Mapping[str, Any], table: PatternTable = TABLE) -> NDArray[np.float32]:
    """The columns of the group, float32 [100 + patterns]: 177 for the table of the definition."""
    counts = raw["string_counts"]
    columns = np.empty(100 + len(table.names), np.float64)
    columns[:3] = raw["numstrings"], raw["avlength"], raw["printables"]
    columns[3:99] = np.array(raw["printabledist"], np.float64) / (raw["printables"] or 1)
    columns[99] = raw["entropy"]
    columns[100:] = [counts.get(name, 0) for name in table.names]
    return columns.astype(np.float32)
