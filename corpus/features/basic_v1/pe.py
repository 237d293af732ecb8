"""The structure of a PE file, by LIEF."""

from __future__ import annotations

import lief

from corpus.features.basic_v1.executable import Executable, Section, letters, text

# Data directories that stand for a property (PE format specification, "Optional Header Data
# Directories").
_RESOURCES, _SIGNATURE, _RELOCATIONS, _DEBUG, _TLS = 2, 4, 5, 6, 9
_EXECUTE, _READ, _WRITE = 0x2000_0000, 0x4000_0000, 0x8000_0000
_IS_DLL = 0x2000
_PE32_PLUS = 0x20B
_OPTIONAL = (
    "addressof_entrypoint",
    "baseof_code",
    "checksum",
    "dll_characteristics",
    "file_alignment",
    "loader_flags",
    "major_image_version",
    "major_linker_version",
    "major_operating_system_version",
    "major_subsystem_version",
    "minor_image_version",
    "minor_linker_version",
    "minor_operating_system_version",
    "minor_subsystem_version",
    "section_alignment",
    "sizeof_code",
    "sizeof_headers",
    "sizeof_heap_commit",
    "sizeof_heap_reserve",
    "sizeof_image",
    "sizeof_initialized_data",
    "sizeof_stack_commit",
    "sizeof_stack_reserve",
    "sizeof_uninitialized_data",
)

_PARSER = lief.PE.ParserConfig()
# Their presence is read off the data directories, which is all that the set asks for.
_PARSER.parse_reloc = False
_PARSER.parse_rsrc = False
_PARSER.parse_signature = False


def read(data: bytes) -> Executable | None:
    """The structure of a file that begins as a PE; None if LIEF cannot make sense of it."""
    binary = lief.PE.parse(data, _PARSER)
    if binary is None:
        return None
    optional = binary.optional_header
    directories = [int(directory.size) for directory in binary.data_directories][:16]
    directories += [0] * (16 - len(directories))
    header = {name: int(getattr(optional, name)) for name in _OPTIONAL}
    header |= {
        "machine": int(binary.header.machine),
        "characteristics": int(binary.header.characteristics),
        "timestamp": int(binary.header.time_date_stamps),
        "magic": int(optional.magic),
        "subsystem": int(optional.subsystem),
    }
    libraries: list[str] = []
    functions: list[str] = []
    for imported in (*binary.imports, *binary.delay_imports):
        library = text(imported.name).lower()
        libraries.append(library)
        for entry in imported.entries:
            name = f"#{entry.ordinal}" if entry.is_ordinal else text(entry.name)
            functions.append(f"{library}:{name}")
    exports = binary.get_export() if binary.has_exports else None
    return Executable(
        header | {"directories": directories},
        [_section(section) for section in binary.sections],
        libraries,
        functions,
        exports=len(exports.entries) if exports else 0,
        overlay=max(len(data) - binary.overlay_offset, 0) if binary.overlay_offset else 0,
        is_64bit=header["magic"] == _PE32_PLUS,
        is_library=bool(header["characteristics"] & _IS_DLL),
        has_debug=directories[_DEBUG] > 0,
        has_signature=directories[_SIGNATURE] > 0,
        has_resources=directories[_RESOURCES] > 0,
        has_tls=directories[_TLS] > 0,
        has_relocations=directories[_RELOCATIONS] > 0,
    )


def _section(section: lief.PE.Section) -> Section:
    flags = int(section.characteristics)
    return Section(
        text(section.name),
        int(section.sizeof_raw_data),
        int(section.virtual_size),
        float(section.entropy),
        letters((("r", flags & _READ), ("w", flags & _WRITE), ("x", flags & _EXECUTE))),
    )
