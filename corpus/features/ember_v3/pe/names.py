"""Names and codes that ember-v3 takes from winnt.h by way of pefile, in the definition's order.

A category is a position in one of these lists, so their order is part of the definition.
"""

from __future__ import annotations

DOS_FIELDS = (
    "e_magic", "e_cblp", "e_cp", "e_crlc", "e_cparhdr", "e_minalloc", "e_maxalloc", "e_ss", "e_sp",
    "e_csum", "e_ip", "e_cs", "e_lfarlc", "e_ovno", "e_oemid", "e_oeminfo", "e_lfanew",
)  # fmt: skip

# Raw feature and field of the optional header, as the vector has them after the categories.
OPTIONAL_FEATURES = {
    "major_image_version": "MajorImageVersion",
    "minor_image_version": "MinorImageVersion",
    "major_linker_version": "MajorLinkerVersion",
    "minor_linker_version": "MinorLinkerVersion",
    "major_operating_system_version": "MajorOperatingSystemVersion",
    "minor_operating_system_version": "MinorOperatingSystemVersion",
    "major_subsystem_version": "MajorSubsystemVersion",
    "minor_subsystem_version": "MinorSubsystemVersion",
    "sizeof_code": "SizeOfCode",
    "sizeof_headers": "SizeOfHeaders",
    "sizeof_image": "SizeOfImage",
    "sizeof_initialized_data": "SizeOfInitializedData",
    "sizeof_uninitialized_data": "SizeOfUninitializedData",
    "sizeof_stack_reserve": "SizeOfStackReserve",
    "sizeof_stack_commit": "SizeOfStackCommit",
    "sizeof_heap_reserve": "SizeOfHeapReserve",
    "sizeof_heap_commit": "SizeOfHeapCommit",
    "address_of_entrypoint": "AddressOfEntryPoint",
    "base_of_code": "BaseOfCode",
    "image_base": "ImageBase",
    "section_alignment": "SectionAlignment",
    "checksum": "CheckSum",
    "number_of_rvas_and_sizes": "NumberOfRvaAndSizes",
}

MACHINE_PREFIX = "IMAGE_FILE_MACHINE_"
MACHINES = (
    "UNKNOWN", "I386", "R3000", "R4000", "R10000", "WCEMIPSV2", "ALPHA", "SH3", "SH3DSP", "SH3E",
    "SH4", "SH5", "ARM", "THUMB", "ARMNT", "AM33", "POWERPC", "POWERPCFP", "IA64", "MIPS16",
    "ALPHA64", "AXP64", "MIPSFPU", "MIPSFPU16", "TRICORE", "CEF", "EBC", "RISCV32", "RISCV64",
    "RISCV128", "LOONGARCH32", "LOONGARCH64", "AMD64", "M32R", "ARM64", "CEE",
)  # fmt: skip
# ALPHA64 and AXP64 share a code, and the last name counts.
MACHINE_CODES = {
    0x0: "UNKNOWN", 0x14C: "I386", 0x162: "R3000", 0x166: "R4000", 0x168: "R10000",
    0x169: "WCEMIPSV2", 0x184: "ALPHA", 0x1A2: "SH3", 0x1A3: "SH3DSP", 0x1A4: "SH3E", 0x1A6: "SH4",
    0x1A8: "SH5", 0x1C0: "ARM", 0x1C2: "THUMB", 0x1C4: "ARMNT", 0x1D3: "AM33", 0x1F0: "POWERPC",
    0x1F1: "POWERPCFP", 0x200: "IA64", 0x266: "MIPS16", 0x284: "AXP64", 0x366: "MIPSFPU",
    0x466: "MIPSFPU16", 0x520: "TRICORE", 0xCEF: "CEF", 0xEBC: "EBC", 0x5032: "RISCV32",
    0x5064: "RISCV64", 0x5128: "RISCV128", 0x6232: "LOONGARCH32", 0x6264: "LOONGARCH64",
    0x8664: "AMD64", 0x9041: "M32R", 0xAA64: "ARM64", 0xC0EE: "CEE",
}  # fmt: skip

SUBSYSTEM_PREFIX = "IMAGE_SUBSYSTEM_"
# Insertion order is the order of the categories.
SUBSYSTEM_CODES = {
    0: "UNKNOWN", 1: "NATIVE", 2: "WINDOWS_GUI", 3: "WINDOWS_CUI", 5: "OS2_CUI", 7: "POSIX_CUI",
    8: "NATIVE_WINDOWS", 9: "WINDOWS_CE_GUI", 10: "EFI_APPLICATION", 11: "EFI_BOOT_SERVICE_DRIVER",
    12: "EFI_RUNTIME_DRIVER", 13: "EFI_ROM", 14: "XBOX", 16: "WINDOWS_BOOT_APPLICATION",
}  # fmt: skip

# Bit 0 first.
IMAGE_CHARACTERISTICS = (
    "RELOCS_STRIPPED", "EXECUTABLE_IMAGE", "LINE_NUMS_STRIPPED", "LOCAL_SYMS_STRIPPED",
    "AGGRESIVE_WS_TRIM", "LARGE_ADDRESS_AWARE", "16BIT_MACHINE", "BYTES_REVERSED_LO",
    "32BIT_MACHINE", "DEBUG_STRIPPED", "REMOVABLE_RUN_FROM_SWAP", "NET_RUN_FROM_SWAP", "SYSTEM",
    "DLL", "UP_SYSTEM_ONLY", "BYTES_REVERSED_HI",
)  # fmt: skip

# Bit 5 first.
DLL_CHARACTERISTICS = (
    "HIGH_ENTROPY_VA", "DYNAMIC_BASE", "FORCE_INTEGRITY", "NX_COMPAT", "NO_ISOLATION", "NO_SEH",
    "NO_BIND", "APPCONTAINER", "WDM_DRIVER", "GUARD_CF", "TERMINAL_SERVER_AWARE",
)  # fmt: skip

# Any common bit sets the name, also for the alignments, which winnt.h has as numbers of four bits.
SECTION_CHARACTERISTICS = (
    ("TYPE_DSECT", 0x1), ("TYPE_NOLOAD", 0x2), ("TYPE_GROUP", 0x4), ("TYPE_NO_PAD", 0x8),
    ("TYPE_COPY", 0x10), ("CNT_CODE", 0x20), ("CNT_INITIALIZED_DATA", 0x40),
    ("CNT_UNINITIALIZED_DATA", 0x80), ("LNK_OTHER", 0x100), ("LNK_INFO", 0x200),
    ("LNK_OVER", 0x400), ("LNK_REMOVE", 0x800), ("LNK_COMDAT", 0x1000), ("MEM_PROTECTED", 0x4000),
    ("NO_DEFER_SPEC_EXC", 0x4000), ("GPREL", 0x8000), ("MEM_FARDATA", 0x8000),
    ("MEM_SYSHEAP", 0x10000), ("MEM_PURGEABLE", 0x20000), ("MEM_16BIT", 0x20000),
    ("MEM_LOCKED", 0x40000), ("MEM_PRELOAD", 0x80000), ("ALIGN_1BYTES", 0x100000),
    ("ALIGN_2BYTES", 0x200000), ("ALIGN_4BYTES", 0x300000), ("ALIGN_8BYTES", 0x400000),
    ("ALIGN_16BYTES", 0x500000), ("ALIGN_32BYTES", 0x600000), ("ALIGN_64BYTES", 0x700000),
    ("ALIGN_128BYTES", 0x800000), ("ALIGN_256BYTES", 0x900000), ("ALIGN_512BYTES", 0xA00000),
    ("ALIGN_1024BYTES", 0xB00000), ("ALIGN_2048BYTES", 0xC00000), ("ALIGN_4096BYTES", 0xD00000),
    ("ALIGN_8192BYTES", 0xE00000), ("ALIGN_MASK", 0xF00000), ("LNK_NRELOC_OVFL", 0x1000000),
    ("MEM_DISCARDABLE", 0x2000000), ("MEM_NOT_CACHED", 0x4000000), ("MEM_NOT_PAGED", 0x8000000),
    ("MEM_SHARED", 0x10000000), ("MEM_EXECUTE", 0x20000000), ("MEM_READ", 0x40000000),
    ("MEM_WRITE", 0x80000000),
)  # fmt: skip

DIRECTORIES = (
    "EXPORT", "IMPORT", "RESOURCE", "EXCEPTION", "SECURITY", "BASERELOC", "DEBUG", "COPYRIGHT",
    "GLOBALPTR", "TLS", "LOAD_CONFIG", "BOUND_IMPORT", "IAT", "DELAY_IMPORT", "COM_DESCRIPTOR",
    "RESERVED",
)  # fmt: skip
