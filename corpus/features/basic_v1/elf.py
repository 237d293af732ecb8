"""The structure of an ELF file, by LIEF."""

from __future__ import annotations

from collections import Counter

import lief

from corpus.features.basic_v1.executable import Executable, Section, letters, text

# Numbers of the System V ABI, "Object Files" and "Program Loading".
_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL = 2, 4, 8, 9
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECUTE = 1, 2, 4
_DF_BIND_NOW, _DF_1_NOW = 8, 1
_ET_DYN = 3
_SHN_UNDEF = 0
_STB_LOCAL = 0
_CLASS_64 = 2
_TYPE = lief.ELF.Segment.TYPE
_TAG = lief.ELF.DynamicEntry.TAG
_SEGMENTS = {
    _TYPE.LOAD: "load",
    _TYPE.DYNAMIC: "dynamic",
    _TYPE.INTERP: "interp",
    _TYPE.NOTE: "note",
    _TYPE.PHDR: "phdr",
    _TYPE.TLS: "tls",
    _TYPE.GNU_EH_FRAME: "gnu_eh_frame",
    _TYPE.GNU_STACK: "gnu_stack",
    _TYPE.GNU_RELRO: "gnu_relro",
}

_PARSER = lief.ELF.ParserConfig()
_PARSER.parse_notes = False
_PARSER.parse_overlay = False
_PARSER.parse_relocations = False
_PARSER.parse_symbol_versions = False
_PARSER.parse_symtab_symbols = False


def read(data: bytes) -> Executable | None:
    """The structure of a file that begins as an ELF; None if LIEF cannot make sense of it."""
    binary = lief.ELF.parse(data, _PARSER)
    if binary is None:
        return None
    fields = binary.header
    segments = list(binary.segments)
    tables = list(binary.sections)
    kinds = Counter(_SEGMENTS.get(segment.type, "other") for segment in segments)
    tags = {entry.tag for entry in binary.dynamic_entries}
    sections = [_section(section) for section in tables]
    types = {int(section.type) for section in tables}
    # LIEF's own lists of imports leave out symbols without a type, which linkers do write.
    symbols = [
        (text(symbol.name), int(symbol.shndx))
        for symbol in binary.dynamic_symbols
        if symbol.name and int(symbol.binding) != _STB_LOCAL
    ]
    header = {
        "class": int(fields.identity_class),
        "data": int(fields.identity_data),
        "os_abi": int(fields.identity_os_abi),
        "type": int(fields.file_type),
        "machine": int(fields.machine_type),
        "flags": int(fields.processor_flag),
        "entrypoint": int(fields.entrypoint),
        "sections": int(fields.numberof_sections),
        "segments": len(segments),
        "segment_types": dict(sorted(kinds.items())),
        # Bits: 1 execute, 2 write, 4 read.
        "segment_flags": [
            sum((segment.raw_flags & 7) == bits for segment in segments) for bits in range(8)
        ],
        "interpreter": _interpreter(binary) if binary.has_interpreter else "",
        "has_symtab": _SHT_SYMTAB in types,
        "has_rpath": _TAG.RPATH in tags or _TAG.RUNPATH in tags,
        "has_init_array": _TAG.INIT_ARRAY in tags or _TAG.INIT in tags,
        "binds_now": any(_binds_now(entry) for entry in binary.dynamic_entries),
        "needed": len(binary.libraries),
        "dynamic_symbols": len(symbols),
    }
    return Executable(
        header,
        sections,
        [text(name) for name in binary.libraries],
        [f":{name}" for name, index in symbols if index == _SHN_UNDEF],
        exports=sum(index != _SHN_UNDEF for _, index in symbols),
        overlay=max(len(data) - int(binary.eof_offset), 0),
        is_64bit=header["class"] == _CLASS_64,
        is_library=header["type"] == _ET_DYN and not binary.has_interpreter,
        has_debug=any(section.name.startswith(".debug") for section in sections),
        has_tls="tls" in kinds,
        has_relocations=bool(types & {_SHT_REL, _SHT_RELA}),
    )


def _interpreter(binary: lief.ELF.Binary) -> str:
    try:
        return text(binary.interpreter)
    except UnicodeDecodeError as error:
        # Unlike other names this one is always decoded, and raises with its bytes.
        return text(bytes(error.object))


def _binds_now(entry: lief.ELF.DynamicEntry) -> bool:
    flag = {_TAG.FLAGS: _DF_BIND_NOW, _TAG.FLAGS_1: _DF_1_NOW}.get(entry.tag, 0)
    return entry.tag == _TAG.BIND_NOW or bool(int(entry.value) & flag)


def _section(section: lief.ELF.Section) -> Section:
    flags = int(section.flags)
    stored = int(section.type) != _SHT_NOBITS
    return Section(
        text(section.name),
        int(section.size) if stored else 0,
        int(section.size) if flags & _SHF_ALLOC else 0,
        float(section.entropy) if stored else 0.0,
        letters(
            (("r", flags & _SHF_ALLOC), ("w", flags & _SHF_WRITE), ("x", flags & _SHF_EXECUTE))
        ),
    )
