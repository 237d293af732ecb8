"""Certificates of a signature, read field by field in the order in which signify 0.7.1 reads them.

signed_data.py tells why.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from asn1crypto import x509

__all__ = ["Certificate", "components", "look_at", "read_certificate"]


class Certificate:
    """A certificate of X.509, of which only the names are kept."""

    def __init__(self, contents: bytes) -> None:
        whole = x509.Certificate(contents=contents)
        look_at(whole["signature_algorithm"].native, whole["signature_value"].native)
        body = whole["tbs_certificate"]
        look_at(body["version"].native)
        self.serial_number: int = body["serial_number"].native
        self._issuer = body["issuer"]
        look_at(body["validity"]["not_before"].native, body["validity"]["not_after"].native)
        self._subject = body["subject"]
        key = body["subject_public_key_info"]
        look_at(key["algorithm"]["algorithm"].native, key["algorithm"]["parameters"].native)
        look_at(key["public_key"].dump(), body["extensions"].native)

    @cached_property
    def self_issued(self) -> bool:
        """Whether the issuer is also the subject; names can be damaged too."""
        return self.issuer == tuple(components(self._subject))

    @cached_property
    def issuer(self) -> tuple[tuple[str, Any], ...]:
        return tuple(components(self._issuer))


# Most files bring certificates of the same few authorities. What is kept is small even where
# somebody has made certificates of nothing but names.
_KNOWN_SIZE = 4096
_known = lru_cache(maxsize=64)(Certificate)


def read_certificate(contents: bytes) -> Certificate:
    """The certificate of these contents; damage raises what asn1crypto raises."""
    return _known(contents) if len(contents) <= _KNOWN_SIZE else Certificate(contents)


def components(name: x509.Name) -> Iterator[tuple[str, Any]]:
    """Type and value of the first attribute in each part of a name, last part first."""
    for part in reversed(list(name.chosen)):
        first = part[0]
        yield first["type"].dotted, first["value"].native


def look_at(*_values: Any) -> None:
    """Says that values were asked for only because asking can fail."""
