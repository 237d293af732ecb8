"""What PE and ELF files have in common, in the form that raw features keep it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import lief

lief.logging.disable()
# A value that LIEF has no name for is one like any other.
warnings.filterwarnings("ignore", r".* is not a valid \w+\.", RuntimeWarning)

# So that no file makes its raw features larger than itself. Real ones stay far below.
MAX_NAMES = 10_000
MAX_NAME = 256


@dataclass(frozen=True)
class Section:
    """Sizes in bytes, entropy in bits, flags as the letters of `rwx` that are set."""

    name: str
    size: int
    virtual_size: int
    entropy: float
    flags: str


@dataclass
class Executable:
    """The structure of one executable; `header` has the fields of its format."""

    header: dict[str, Any]
    sections: list[Section]
    libraries: list[str]
    functions: list[str]
    exports: int = 0
    overlay: int = 0
    is_64bit: bool = False
    is_library: bool = False
    has_debug: bool = False
    has_signature: bool = False
    has_resources: bool = False
    has_tls: bool = False
    has_relocations: bool = False
    imports: int = field(init=False)

    def __post_init__(self) -> None:
        self.imports = len(self.functions)
        self.libraries = self.libraries[:MAX_NAMES]
        self.functions = self.functions[:MAX_NAMES]

    def sections_as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(section) for section in self.sections[:MAX_NAMES]]


def text(name: str | bytes) -> str:
    """A name as LIEF gives it: bytes if they are not UTF-8."""
    decoded = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return decoded[:MAX_NAME]


def letters(pairs: Iterable[tuple[str, Any]]) -> str:
    """The letters whose condition holds."""
    return "".join(letter for letter, holds in pairs if holds)
