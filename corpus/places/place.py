"""A place: a file or folder of this machine or of a remote storage, out of text that somebody wrote.

What has more than one reading is refused, so that what is checked is what is opened.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from corpus.errors import BadInputError

__all__ = ["BUCKETS", "HOSTS", "MOST", "Place", "host_of", "parse"]

# Characters of a place: no path that can be opened is longer.
MOST = 4_096
# Schemes whose URLs begin with a bucket, and those whose URLs begin with a host, with its own port.
BUCKETS = frozenset(("abfs", "abfss", "az", "gcs", "gs", "memory", "s3", "s3a"))
HOSTS = {"ftp": 21, "http": 80, "https": 443, "sftp": 22}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_IN_BRACKETS = re.compile(r"(?<=://)\[[^]/]*\]")
# Folders of what the kernel makes up; /dev/shm alone has files.
_KERNEL = ("dev", "proc", "sys")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# No path of the system's can hold these; other surrogates stand for bytes that are not UTF-8 (PEP 383).
_NEVER = re.compile("[\x00\ud800-\udc7f\udd00-\udfff]")
# A dot, a slash, a backslash or a control character in disguise, also one that is disguised twice.
_DISGUISED = re.compile("%(25)*(2e|2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_LABEL = r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# The last part of what a resolver may take for an address, however it is written.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Place:
    """Where something lies.

    `path` is an absolute path without `..`, or the URL of something remote; `host` is with its port
    unless that is the scheme's own. `host` and `bucket` are empty for what has none.
    """

    path: str
    scheme: str = "file"
    host: str = ""
    bucket: str = ""

    @property
    def is_local(self) -> bool:
        return self.scheme == "file"

    def __str__(self) -> str:
        return self.path


def parse(text: str, *, literal: bool = False) -> Place:
    """Read a place. Raises `BadInputError`, which does not repeat the text.

    :param literal: the names in it were listed, not typed: they may hold anything but a NUL character.
    """
    if not text:
        raise BadInputError("a place is empty.")
    if len(text) > MOST:
        raise BadInputError(f"a place has {len(text):,} characters, more than {MOST:,}.")
    if _NEVER.search(text) or (not literal and _CONTROL.search(text)):
        raise BadInputError("a place holds a control character.")
    if text.startswith("/"):
        return _local(text, literal)
    url = _URL.fullmatch(text)
    if url is None or (not literal and "::" in _IN_BRACKETS.sub("", text, count=1)):
        raise _not_a_place(text)
    scheme, rest = url[1].lower(), url[2]
    if scheme in ("file", "local"):
        if not rest.startswith("/"):
            raise BadInputError(
                "a local file has no host.", hint="Write the absolute path, as /data/samples."
            )
        return _local(rest, literal)
    if scheme not in BUCKETS and scheme not in HOSTS:
        raise BadInputError(
            "this kind of URL is not known.",
            hint=f"Known are paths and {', '.join(sorted((*BUCKETS - {'memory'}, *HOSTS)))}.",
        )
    return _remote(scheme, rest, literal)


def host_of(authority: str, scheme: str = "https") -> str:
    """Read `name`, `name:port`, `address:port` or `[address]:port`; the scheme's own port is left out.

    Raises `BadInputError` for a user's name, for an address that is not written as all write it, and
    for a name that is not ASCII.
    """
    if "@" in authority:
        raise BadInputError(
            "a URL with a user's name or password is not taken.",
            hint="Credentials belong in `store.options`, or in the environment.",
        )
    text = authority.lower()
    name, port = text, ""
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        if rest:
            port = rest.removeprefix(":") if rest.startswith(":") else "?"
            port = port or "?"
        name = _ipv6(name)
    else:
        if ":" in text:
            name, _, port = text.partition(":")
            port = port or "?"
        _check_name(name)
    if port and (not _PORT.fullmatch(port) or int(port) > 65_535):
        raise BadInputError("a URL names a port that is not 1 to 65535.")
    return f"{name}:{port}" if port and int(port) != HOSTS.get(scheme) else name


def _not_a_place(text: str) -> BadInputError:
    if "::" in text:
        return BadInputError(
            "a chain of places (`a::b`) is not taken.",
            hint="Name the file itself: archives are opened.",
        )
    return BadInputError(
        "is not an absolute path.", hint="Give the whole path, or a URL such as s3://bucket/folder."
    )


def _local(text: str, literal: bool) -> Place:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    _check(parts, text, literal)
    if parts and parts[0] in _KERNEL and parts[1:2] != ["shm"]:
        raise BadInputError("what lies in /dev, /proc and /sys is not a file.")
    return Place("/" + "/".join(parts))


def _check(parts: list[str], text: str, literal: bool) -> None:
    if ".." in parts or (not literal and _DISGUISED.search(text)):
        raise BadInputError(
            "a place with `..` in it, or with a dot or slash as %2e or %2f, is not taken.",
            hint="Give the path that it leads to.",
        )


def _remote(scheme: str, rest: str, literal: bool) -> Place:
    bucket = scheme in BUCKETS
    end = re.search(r"[/?#]", rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if not bucket and re.search(r"[\\#\s]", rest):
        raise BadInputError("a URL holds a space, a backslash or a `#`.")
    # What of a key is literal in a bucket is read by a web server.
    parts = (tail if bucket else tail.partition("?")[0]).split("/")
    _check(parts, tail, literal and bucket)
    if "." in parts:
        raise BadInputError("a URL with `.` as a folder is not taken.")
    if not bucket:
        host = host_of(authority, scheme)
        return Place(f"{scheme}://{host}{tail}", scheme, host=host)
    if "@" in authority:
        host_of(authority)
    if not _BUCKET.fullmatch(authority) or (tail and tail[0] != "/"):
        raise BadInputError("a URL names no bucket.", hint=f"Write {scheme}://bucket/folder.")
    return Place(f"{scheme}://{authority}{tail}", scheme, bucket=authority)


def _check_name(name: str) -> None:
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise BadInputError(
            "a URL names no host.", hint="Write a name outside ASCII in its ASCII form (xn--...)."
        )
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(name)
        except ValueError as error:
            raise BadInputError(
                "a URL has an address that is not written as four decimal numbers."
            ) from error


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BadInputError("a URL has an address in brackets that is none.") from error
    if address.scope_id or address.ipv4_mapped or address.sixtofour or address.teredo:
        raise BadInputError("a URL has an address of IPv6 that stands for another address.")
    return f"[{address.compressed}]"
