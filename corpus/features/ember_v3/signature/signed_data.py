"""A signature, read by asn1crypto field by field in the order in which signify 0.7.1 reads it.

asn1crypto parses a field only when somebody looks at it. So a damaged field that nobody looks at is
no error, and if two are damaged, the first one looked at decides whether the reference counts a
parse error or fails. Hence this module looks at each field that signify looks at, in its order,
even if the value is of no further use, and does not stand in the way of asn1crypto's errors.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterable, Iterator
from typing import Any

from asn1crypto import cms, tsp, x509
from asn1crypto.util import extended_datetime

from corpus.features.ember_v3.signature import spc
from corpus.features.ember_v3.signature.certificates import (
    Certificate,
    components,
    look_at,
    read_certificate,
)

__all__ = ["SignatureError", "SignedData", "read"]

_DIGESTS = ("md5", "sha1", "sha256", "sha384", "sha512")


class SignatureError(ValueError):
    """What signify refuses by an error of its own; the reference takes it for a parse error."""


def read(content_info: bytes) -> SignedData:
    """The signature in a DER or BER ContentInfo.

    Raises ValueError or KeyError if the reference counts a parse error, and any other exception
    where the reference fails.
    """
    return SignedData(_enclosed(cms.ContentInfo.load(content_info)))


class SignedData:
    """A SignedData of Authenticode, and the signatures nested in it."""

    def __init__(self, data: cms.SignedData) -> None:
        content, self._certificates, signers = _read(data, spc.INDIRECT_DATA, Signer)
        _look_at_indirect_data(content)
        self._signer: Signer = _only(signers)
        if data["crls"]:
            raise SignatureError("a signature with revocation lists")

    def __iter__(self) -> Iterator[SignedData]:
        """This signature, then the nested ones in the order of the file."""
        yield self
        for nested in self._signer.nested:
            yield from nested

    @property
    def named(self) -> bool:
        """Whether it states a program name."""
        return self._signer.program_name is not None

    @property
    def countersigned(self) -> bool:
        """Whether it has a time stamp, of whichever of the two kinds."""
        return self._signer.countersigner is not None

    @property
    def signing_time(self) -> float:
        """Seconds since 1970 at the counter signature. Raises ValueError if there is no such day."""
        countersigner = self._signer.countersigner
        assert countersigner is not None
        return _timestamp(countersigner.signing_time)

    @property
    def depth(self) -> int:
        """How many certificates it brings."""
        return len(self._certificates)

    def self_issued(self) -> Iterator[bool]:
        """For each certificate but the last whether its issuer is also its subject."""
        for certificate in self._certificates[:-1]:
            yield certificate.self_issued

    def signers_self_issued(self) -> Iterator[bool]:
        """For each certificate that the signer names as its own whether its issuer is its subject."""
        for certificate in self._certificates:
            if self._signer.is_of(certificate):
                yield certificate.self_issued


class CounterSigner:
    """A SignerInfo, as it stands in the counter signature of PKCS #9."""

    required: tuple[str, ...] = ("content_type", "signing_time", "message_digest")
    content_type: str | None = None

    def __init__(self, data: cms.SignerInfo) -> None:
        if data["sid"].name == "subject_key_identifier":
            raise SignatureError("a signer who is named by a key identifier")
        issuer_and_serial = data["sid"].chosen
        self._issuer = issuer_and_serial["issuer"]
        self._serial_number: int = issuer_and_serial["serial_number"].native
        self.signed = _attributes(data["signed_attrs"])
        if not all(name in self.signed for name in self.required):
            raise SignatureError(f"an attribute is missing from {self.signed}")
        self.unsigned = _attributes(data["unsigned_attrs"])
        look_at(data["signature_algorithm"]["algorithm"].native, data["signature"].native)
        _check_digest(data["digest_algorithm"])

        self._native("message_digest")
        content_type = self._native("content_type")
        if self.content_type is not None and content_type != self.content_type:
            raise SignatureError(f"a signer of {content_type}")
        self.signing_time: Any = self._native("signing_time")
        self.countersigner: CounterSigner | TimeStamp | None = None
        if "counter_signature" in self.unsigned:
            self.countersigner = self._countersigner(_only(self.unsigned["counter_signature"]))

    def is_of(self, certificate: Certificate) -> bool:
        """Whether a certificate is the one that the signer says is its own."""
        return certificate.serial_number == self._serial_number and certificate.issuer == tuple(
            components(self._issuer)
        )

    def _countersigner(self, data: cms.SignerInfo) -> CounterSigner:
        return CounterSigner(data)

    def _native(self, name: str) -> Any:
        """The one value of the signed attribute `name`, None without such an attribute."""
        return _only(self.signed[name]).native if name in self.signed else None


class Signer(CounterSigner):
    """The SignerInfo of a signature."""

    required = ("content_type", "message_digest")
    content_type = spc.INDIRECT_DATA

    def __init__(self, data: cms.SignerInfo) -> None:
        super().__init__(data)
        self._native(spc.STATEMENT_TYPE)
        self.program_name = None
        if spc.OPUS_INFO in self.signed:
            opus = _only(self.signed[spc.OPUS_INFO])
            self.program_name = opus["program_name"].native
            look_at(opus["more_info"].native, opus["publisher_info"].native)
        self.nested = [
            SignedData(_enclosed(nested))
            for nested in self.unsigned.get("microsoft_nested_signature", ())
        ]
        if "microsoft_time_stamp_token" in self.unsigned:
            if "counter_signature" in self.unsigned:
                raise SignatureError("a counter signature and a time stamp token")
            token = _only(self.unsigned["microsoft_time_stamp_token"])
            self.countersigner = TimeStamp(_enclosed(token))


class TimeStampSigner(CounterSigner):
    """The SignerInfo of a time stamp token."""

    required = ("content_type", "message_digest")
    content_type = "tst_info"

    def _countersigner(self, data: cms.SignerInfo) -> CounterSigner:
        # signify asserts here what it has not checked, so the reference fails.
        raise TypeError("a counter signature within a time stamp token")


class TimeStamp:
    """A time stamp token of RFC 3161."""

    def __init__(self, data: cms.SignedData) -> None:
        content, _, signers = _read(data, "tst_info", TimeStampSigner)
        if content["version"].native != "v1":
            raise SignatureError("an unknown version of time stamp")
        look_at(content["policy"].native)
        _check_digest(content["message_imprint"]["hash_algorithm"])
        look_at(content["message_imprint"]["hashed_message"].native)
        look_at(content["serial_number"].native)
        self.signing_time = content["gen_time"].native
        _look_at_accuracy(content["accuracy"])
        authority = content["tsa"]
        if isinstance(authority, x509.GeneralName) and authority.name != "directory_name":
            raise NotImplementedError(f"a time stamp of an authority named by {authority.name}")
        _only(signers)


def _read(
    data: cms.SignedData, content_type: str, signer: Any
) -> tuple[Any, list[Certificate], list[Any]]:
    """What the two kinds of SignedData have in common: content, certificates, signers."""
    if len(data["digest_algorithms"]) != 1:
        raise SignatureError("not one digest algorithm")
    _check_digest(data["digest_algorithms"][0])
    info = data["encap_content_info"]
    if info["content_type"].native != content_type:
        raise SignatureError(f"content of type {info['content_type'].native}")
    content = info["content"]
    if hasattr(content, "parsed"):
        content = content.parsed
    certificates = [
        read_certificate(choice.chosen.contents)
        for choice in data["certificates"]
        if choice.name == "certificate"
    ]
    return content, certificates, [signer(info) for info in data["signer_infos"]]


def _enclosed(content_info: cms.ContentInfo) -> Any:
    if content_info["content_type"].native != "signed_data":
        raise SignatureError("a signature that is not SignedData")
    return content_info["content"]


def _only(values: list[Any]) -> Any:
    if len(values) != 1:
        raise SignatureError(f"{len(values)} values where one belongs")
    return values[0]


def _attributes(attributes: Iterable[Any]) -> dict[str, list[Any]]:
    return {attribute["type"].native: list(attribute["values"]) for attribute in attributes}


def _check_digest(algorithm: Any) -> None:
    name = algorithm["algorithm"].native
    if name not in _DIGESTS:
        raise SignatureError(f"digest algorithm {name}")
    if algorithm["parameters"].native:
        raise SignatureError("parameters of a digest algorithm")


def _look_at_indirect_data(content: Any) -> None:
    if content["data"]["type"].native != spc.PE_IMAGE_DATA:
        raise SignatureError("a signature of something other than a PE image")
    image = content["data"]["value"]
    look_at(image["flags"].native, image["file"].native)
    _check_digest(content["message_digest"]["digest_algorithm"])
    look_at(content["message_digest"]["digest"].native)


def _look_at_accuracy(accuracy: tsp.Accuracy) -> None:
    # The sum itself can fail: there are numbers for which Python has no duration.
    if accuracy:
        error = datetime.timedelta(seconds=accuracy["seconds"].native or 0)
        error += datetime.timedelta(milliseconds=accuracy["millis"].native or 0)
        error += datetime.timedelta(microseconds=accuracy["micros"].native or 0)


def _timestamp(time: Any) -> float:
    if isinstance(time, extended_datetime):  # the year 0
        return _timestamp(time.replace(2000)) - float(time.DAYS_IN_2000_YEARS * 86400)
    if time.tzinfo is not None:
        return float(time.timestamp())
    # Without a zone the reference takes it for the local time of its machine. Of all machines we
    # choose one that keeps UTC, where Python has no answer for the first day of all.
    if time.toordinal() == 1:
        raise ValueError("a time without a zone in the first day of the year 1")
    return calendar.timegm(time.timetuple()) + float(time.microsecond / 1e6)
