"""Authenticode's own ASN.1 structures, made known to asn1crypto.

They are those of "Windows Authenticode Portable Executable Signature Format" (Microsoft, 2008) and
of WinTrust.h, with the taggings that real files have: where a field is tagged otherwise than the
text says, signify 0.7.1 and with it the reference follow the files.
"""

# mypy: disallow-subclassing-any=False
# ruff: noqa: RUF012 - asn1crypto declares fields in lists and dicts of the class

from __future__ import annotations

from asn1crypto import algos, cms, core, x509

__all__ = ["INDIRECT_DATA", "OPUS_INFO", "PE_IMAGE_DATA", "STATEMENT_TYPE"]

INDIRECT_DATA = "spc_indirect_data"
OPUS_INFO = "spc_opus_info"
PE_IMAGE_DATA = "spc_pe_image_data"
STATEMENT_TYPE = "spc_statement_type"


class SerializedObject(core.Sequence):
    _fields = [("class_id", core.OctetString), ("serialized_data", core.OctetString)]


class String(core.Choice):
    _alternatives = [
        ("unicode", core.BMPString, {"implicit": 0}),
        ("ascii", core.IA5String, {"implicit": 1}),
    ]


class Link(core.Choice):
    _alternatives = [
        ("url", core.IA5String, {"implicit": 0}),
        ("moniker", SerializedObject, {"implicit": 1}),
        ("file", String, {"explicit": 2}),
    ]


class Image(core.Sequence):
    _fields = [
        ("image_link", Link, {"explicit": 0, "optional": True}),
        ("bitmap", core.OctetString, {"implicit": 1, "optional": True}),
        ("metafile", core.OctetString, {"implicit": 2, "optional": True}),
        ("enhanced_metafile", core.OctetString, {"implicit": 3, "optional": True}),
        ("gif_file", core.OctetString, {"implicit": 4, "optional": True}),
    ]


class PeImageFlags(core.BitString):
    _map = {0: "resources", 1: "debug_info", 2: "import_address_table"}


class PeImageData(core.Sequence):
    _fields = [
        ("flags", PeImageFlags, {"default": {"resources"}}),
        ("file", Link, {"optional": True, "explicit": 0}),
    ]


class AttributeType(core.ObjectIdentifier):
    _map = {"1.3.6.1.4.1.311.2.1.15": PE_IMAGE_DATA}


class AttributeTypeAndValue(core.Sequence):
    _fields = [("type", AttributeType), ("value", core.Any, {"optional": True})]
    _oid_pair = ("type", "value")
    _oid_specs = {PE_IMAGE_DATA: PeImageData}


class IndirectData(core.Sequence):
    _fields = [("data", AttributeTypeAndValue), ("message_digest", algos.DigestInfo)]


class OpusInfo(core.Sequence):
    _fields = [
        ("program_name", String, {"optional": True, "explicit": 0}),
        ("more_info", Link, {"optional": True, "explicit": 1}),
        ("publisher_info", Link, {"optional": True, "explicit": 2}),
    ]


class OpusInfos(core.SetOf):
    _child_spec = OpusInfo


class StatementTypeId(core.ObjectIdentifier):
    _map = {
        "1.3.6.1.4.1.311.2.1.21": "individual",
        "1.3.6.1.4.1.311.2.1.22": "commercial",
    }


class StatementType(core.SequenceOf):
    _child_spec = StatementTypeId


class StatementTypes(core.SetOf):
    _child_spec = StatementType


class AgencyInformation(core.Sequence):
    _fields = [
        ("policy_information", Link, {"explicit": 0}),
        ("policy_display_text", String, {"optional": True, "explicit": 1}),
        ("logo_image", Image, {"optional": True, "implicit": 2}),
        ("logo_link", Link, {"optional": True, "explicit": 3}),
    ]


class FinancialCriteria(core.Sequence):
    _fields = [
        ("financial_info_available", core.Boolean, {"default": False}),
        ("meets_criteria", core.Boolean, {"default": False}),
    ]


cms.ContentType._map["1.3.6.1.4.1.311.2.1.4"] = INDIRECT_DATA
cms.ContentInfo._oid_specs[INDIRECT_DATA] = IndirectData
cms.EncapsulatedContentInfo._oid_specs[INDIRECT_DATA] = IndirectData

cms.CMSAttributeType._map["1.3.6.1.4.1.311.2.1.11"] = STATEMENT_TYPE
cms.CMSAttribute._oid_specs[STATEMENT_TYPE] = StatementTypes
cms.CMSAttributeType._map["1.3.6.1.4.1.311.2.1.12"] = OPUS_INFO
cms.CMSAttribute._oid_specs[OPUS_INFO] = OpusInfos

x509.ExtensionId._map["1.3.6.1.4.1.311.2.1.10"] = "spc_agency_information"
x509.Extension._oid_specs["spc_agency_information"] = AgencyInformation
x509.ExtensionId._map["1.3.6.1.4.1.311.2.1.27"] = "spc_financial_criteria"
x509.Extension._oid_specs["spc_financial_criteria"] = FinancialCriteria
