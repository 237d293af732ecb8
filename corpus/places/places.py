"""Which places may be read: what the settings name, what `[places]` adds, what a person has typed."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any

from corpus.errors import BadInputError
from corpus.places import beneath
from corpus.places.place import BUCKETS, Place, host_of, parse
from corpus.settings import Settings

__all__ = ["Places", "absolute"]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a network of IPv6 alone gives the hosts that have an address of IPv4.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HINT = (
    "Allowed are the places that `sources.urls`, `verdicts.feeds` and `store.root` name, and those that "
    "the settings `places` add."
)
# Files that name others, which lie beside them.
_LIST = re.compile(r"\.(csv|tsv|json|jsonl|ndjson|parquet)(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Places:
    """The allow-list, and the only way to what lies at a place. Without anything, nothing is allowed.

    `roots` are absolute paths of folders, or of single files. `hosts` are as `host_of` writes them;
    an address that is not of the public internet must lie in one of `networks`.
    """

    roots: frozenset[str] = frozenset()
    schemes: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = field(default=())

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Return what the settings allow. What of them is no place allows nothing."""
        listed = settings.places
        made = cls(
            schemes=frozenset(map(str.lower, listed.schemes)), buckets=frozenset(listed.buckets)
        )
        for text in listed.hosts:
            made = made._with_host(text)
        named = (
            *settings.sources.urls,
            *(feed.place for feed in settings.verdicts.feeds),
            *listed.roots,
        )
        return made.adding((*named, absolute(settings.store.root)))

    def adding(self, texts: Iterable[str]) -> Places:
        """Return these and the places that the texts name; of a list that names files, its folder."""
        made = self
        for text in texts:
            with suppress(BadInputError):
                made = made._with(parse(text))
        return made

    def place(self, text: str, *, literal: bool = False) -> Place:
        """Return the place that a text names. Raises `BadInputError` if it is not allowed, or is none.

        :param literal: see `parse`.
        """
        place = parse(text, literal=literal)
        if place.is_local:
            self._root(place)
        elif place.scheme not in self.schemes:
            raise BadInputError(f"{place.scheme}:// is not an allowed kind of place.", hint=_HINT)
        elif place.scheme in BUCKETS and place.bucket not in self.buckets:
            raise BadInputError("this bucket is not an allowed place.", hint=_HINT)
        elif place.scheme not in BUCKETS and not self._is_host(place.host):
            raise BadInputError("this host is not an allowed place.", hint=_HINT)
        return place

    def allows_address(self, address: str) -> bool:
        """Return whether a host may have this address: a public one, or a listed one."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found in _NAT64):
            found = ipaddress.IPv4Address(found.packed[-4:])
        if any(found in network for network in self.networks if network.version == found.version):
            return True
        tunnel = isinstance(found, ipaddress.IPv6Address) and (found.sixtofour or found.teredo)
        return found.is_global and not found.is_multicast and not tunnel

    def open(self, place: Place) -> IO[bytes]:
        """Open a local file. Raises `OSError`, and `BadInputError` if it is not allowed."""
        return beneath.open_file(self._root(place), place.path)

    def stat(self, place: Place) -> os.stat_result:
        """Say how a local file looks. Raises as `open` does."""
        return beneath.stat_file(self._root(place), place.path)

    def is_folder(self, place: Place) -> bool:
        """Return whether a local place is a folder. Raises as `open` does."""
        return beneath.is_folder(self._root(place), place.path)

    def walk(self, place: Place) -> Iterator[tuple[str, os.stat_result | OSError]]:
        """List the files below a local folder, as `beneath.walk`. Raises as `open` does."""
        return beneath.walk(self._root(place), place.path)

    def filesystem(self, scheme: str, options: Mapping[str, Any]) -> Any:
        """Return the fsspec file system of the remote places of a scheme."""
        import fsspec

        if scheme in ("http", "https"):
            from corpus.places.web import filesystem

            return filesystem(self.place, self.allows_address, options)
        return fsspec.filesystem(scheme, **options)

    def _root(self, place: Place) -> str:
        """The listed root that a local place lies below: the nearest."""
        path = place.path
        while path not in self.roots:
            if path == "/":
                raise BadInputError("lies in no folder that is an allowed place.", hint=_HINT)
            path = path.rpartition("/")[0] or "/"
        return path

    def _is_host(self, host: str) -> bool:
        if host in self.hosts:
            return True
        with suppress(ValueError):
            address = ipaddress.ip_address(host.strip("[]"))
            return any(address in network for network in self.networks)
        return False

    def _with(self, place: Place) -> Places:
        if place.is_local:
            path = place.path
            if _LIST.search(path) and not os.path.isdir(path):
                path = path.rpartition("/")[0] or "/"
            return replace(self, roots=self.roots | {path})
        made = replace(self, schemes=self.schemes | {place.scheme})
        if place.scheme in BUCKETS:
            return replace(made, buckets=made.buckets | {place.bucket})
        return made._with_host(place.host)

    def _with_host(self, text: str) -> Places:
        """A host or a network; a host that is an address is one of the addresses that are allowed."""
        with suppress(ValueError):
            network = ipaddress.ip_network(text.strip("[]"), strict=False)
            return replace(self, networks=(*self.networks, network))
        try:
            host = host_of(text)
        except BadInputError:
            return self
        made = replace(self, hosts=self.hosts | {host})
        with suppress(ValueError):
            name = host.rpartition(":")[0] or host
            network = ipaddress.ip_network(name.strip("[]"))
            return replace(made, networks=(*made.networks, network))
        return made


def absolute(text: str) -> str:
    """What a person typed, or a setting whose folder is the working directory, as a place: a relative
    path from that folder, anything else as it is.
    """
    if not text or text.startswith("/") or "://" in text or "::" in text or "\0" in text:
        return text
    return os.path.abspath(os.path.expanduser(text))
