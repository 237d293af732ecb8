"""Imports of a PE file, also the delayed ones, as pefile 2024.8.26 reads them.

The readers raise `UnusualError` if pefile would meet something that it repairs or gives up on, except
for its limit on the number of symbols, which ordinary large files reach.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from corpus.features.ember_v3.pe.sections import AddressMap
from corpus.features.ember_v3.pe.unusual import UnusualError

# Thunks that pefile looks at before it gives up, in all tables of a file together.
MAX_THUNKS = 0x2000
_MAX_NAME = 0x200
_HINT = 2
_MAX_REPEATED = 15
_MAX_INVALID = 1_000
_MAX_WITHOUT = 5
_MAX_SPREAD = 128 * 2**20
_4_GB = 1 << 32
_DESCRIPTOR = struct.Struct("<5I")
_DELAYED = struct.Struct("<8I")
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_FILE_NAME = _LETTERS + _DIGITS + b"!#$%&'()-@^_`{}~+,.;=[]:\\/"
_FUNCTION = _LETTERS + _DIGITS + b"._?@$()<>"
_WITH_KNOWN_ORDINALS = {b"oleaut32.dll", b"ws2_32.dll", b"wsock32.dll"}
_I386 = 0x14C


Symbol = bytes | int
"""An imported function, by its name or by its ordinal."""


class Library(NamedTuple):
    """The symbols of one import descriptor, which stands for a library."""

    name: bytes
    symbols: list[Symbol]


class ImportReader:
    """Reads both import directories, whose tables share the limit on the number of symbols."""

    def __init__(self, addresses: AddressMap, *, pe32_plus: bool, machine: int) -> None:
        self.addresses = addresses
        self.machine = machine
        self.warnings: set[str] = set()
        self._thunks = 0
        self._width = 8 if pe32_plus else 4
        self._ordinal = 1 << (63 if pe32_plus else 31)

    def imports(self, rva: int) -> list[Library]:
        """Libraries of the import directory at an RVA. Raises `UnusualError` or `OutOfFileError`."""
        libraries = []
        for (_, _, _, name, _), symbols in self._tables(rva, _DESCRIPTOR, "import"):
            library = self._library(name, symbols)
            if library:
                libraries.append(library)
        self._look_for_a_packer(libraries)
        return libraries

    def delayed_imports(self, rva: int) -> None:
        """Read the delayed imports for their warnings only. Raises `UnusualError` or `OutOfFileError`."""
        for _ in self._tables(rva, _DELAYED, "Delay import"):
            if self._thunks > MAX_THUNKS:
                self.warnings.add("Error, too many imported symbols...")
                break

    def _tables(
        self, rva: int, layout: struct.Struct, directory: str
    ) -> Iterator[tuple[tuple[int, ...], list[Symbol]]]:
        """The fields of each descriptor that has symbols, and these."""
        without = 0
        for after, start, fields in self._descriptors(rva, layout):
            if layout is _DELAYED:
                attributes, _, _, table, lookup = fields[:5]
                if not attributes and self.machine == _I386:
                    raise UnusualError("delayed imports by address")
            else:
                lookup, _, _, _, table = fields
            symbols = self._symbols(lookup, table, after, start)
            if without > _MAX_WITHOUT:
                self.warnings.add(f"Too many errors parsing the {directory} directory...")
                break
            if symbols:
                yield fields, symbols
            else:
                without += 1

    def _descriptors(
        self, rva: int, layout: struct.Struct
    ) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """RVA after each descriptor, its offset in the file, its fields."""
        while True:
            descriptor = self.addresses.read(rva, layout.size)
            if len(descriptor) < layout.size:
                raise UnusualError("an import descriptor is cut off")
            if not any(descriptor):
                return
            start = self.addresses.offset(rva)
            rva += layout.size
            yield rva, start, layout.unpack(descriptor)

    def _symbols(self, lookup: int, table: int, rva: int, start: int) -> list[Symbol]:
        longest = len(self.addresses.data) - start
        if rva > lookup or rva > table:
            longest = max(rva - lookup, rva - table)
        lookups = self._table(lookup, longest)
        # Read for what it adds to the number of thunks, and for its faults.
        addresses = self._table(table, longest)
        if not lookups and not addresses:
            self.warnings.add("Damaged Import Table information...")
        thunks = lookups or addresses
        if any(_4_GB <= thunk < self._ordinal for thunk in thunks):
            raise UnusualError("a name of a symbol beyond 4 GB")
        names = self.addresses.strings(
            (thunk for thunk in thunks if not thunk & self._ordinal), _MAX_NAME, skip=_HINT
        )
        invalid = _invalid(names)
        if len(invalid) > _MAX_INVALID:
            raise UnusualError("many symbols of a library are invalid")
        symbols: list[Symbol] = [*names]
        if len(names) < len(thunks):
            following = iter(names)
            symbols = [t & 0xFFFF if t & self._ordinal else next(following) for t in thunks]
        # Neither an empty name nor ordinal 0 is a symbol to pefile.
        return [symbol for symbol in symbols if symbol and symbol not in invalid]

    def _table(self, rva: int, longest: int) -> tuple[int, ...]:
        """The thunks at an RVA up to the one of zeros, as many as the limits allow.

        None are given of a table in which they lie too far apart, as those of a bound one may, which
        are addresses in several modules.
        """
        if not rva:
            return ()
        width = self._width
        # As many as pefile looks at; the one of zeros counts.
        allowed = min(-(-longest // width), MAX_THUNKS + 1 - self._thunks)
        content = self.addresses.read(rva, max(0, allowed) * width)
        thunks = _up_to_zero(content, width)
        end = len(thunks)
        enough = self._enough(thunks)
        given_up = 0 < enough < allowed
        if given_up:
            thunks, end = thunks[:enough], enough
        # Of a table given up, too, pefile counts the thunk after these.
        if given_up or (end + 1) * width <= len(content):
            self._thunks += end + 1
        elif end < allowed:
            raise UnusualError("a table of thunks is cut off")
        else:
            self._thunks += max(0, end)
            if end * width >= longest:
                self.warnings.add("Error parsing the import table. Entries go beyond bounds...")
            else:
                self.warnings.add("Excessive number of imports...")
        used = min((end + 1) * width, len(content))
        if used and self.addresses.section(rva) != self.addresses.section(rva + used - 1):
            raise UnusualError("a table of thunks crosses a section's end")
        self._vouch(thunks, rva, rva + end * width)
        return () if given_up else thunks

    def _enough(self, thunks: tuple[int, ...]) -> int:
        """How many thunks it takes until names among them lie too far apart; 0 if they do not.

        Those of 4 GB and more are measured apart from those below.
        """
        named = [thunk for thunk in thunks if not thunk & self._ordinal]
        if not named or max(named) - min(named) <= _MAX_SPREAD:
            return 0
        ranges: dict[bool, tuple[int, int]] = {}
        for count, thunk in enumerate(thunks, 1):
            if not thunk & self._ordinal:
                low, high = ranges.get(thunk >= _4_GB, (thunk, thunk))
                low, high = ranges[thunk >= _4_GB] = min(low, thunk), max(high, thunk)
                if high - low > _MAX_SPREAD:
                    return count
        return 0

    def _vouch(self, thunks: tuple[int, ...], first: int, last: int) -> None:
        if last >= 1 << 31:
            raise UnusualError("an address that might be an ordinal")
        named = [thunk for thunk in thunks if not thunk & self._ordinal]
        if len(named) < len(thunks) and any(
            thunk & self._ordinal and thunk & 0x7FFFFFFF > 0xFFFF for thunk in thunks
        ):
            raise UnusualError("an ordinal beyond 16 bits")
        if not named:
            return
        low, high = min(named), max(named)
        if low <= last and high >= first and any(first <= thunk <= last for thunk in named):
            raise UnusualError("names of symbols among the thunks")
        if len(named) - len(set(named)) >= _MAX_REPEATED:
            raise UnusualError("thunks repeat")

    def _library(self, name_rva: int, symbols: list[Symbol]) -> Library | None:
        name = self.addresses.string(name_rva, _MAX_NAME)
        if name.translate(None, _FILE_NAME):
            name = b"*invalid*"
        if not name:
            return None
        if name.lower() in _WITH_KNOWN_ORDINALS:
            symbols = [_named(name, symbol) for symbol in symbols]
        return Library(name, symbols)

    def _look_for_a_packer(self, libraries: list[Library]) -> None:
        if sum(len(library.symbols) for library in libraries) < 20:
            telling = sum(
                isinstance(symbol, bytes) and symbol.startswith((b"LoadLibrary", b"GetProcAddress"))
                for library in libraries
                for symbol in library.symbols
            )
            if telling == 2:
                self.warnings.add(
                    "Imported symbols contain entries typical of packed executables..."
                )


def _up_to_zero(content: bytes, width: int) -> tuple[int, ...]:
    """Numbers of `width` bytes up to the first that is zero. Most tables are short."""
    code, count, most = "Q" if width == 8 else "I", 32, len(content) // width
    while True:
        count = min(count, most)
        numbers = struct.unpack_from(f"<{count}{code}", content)
        if 0 in numbers:
            return numbers[: numbers.index(0)]
        if count == most:
            return numbers
        count *= 8


def _invalid(names: list[bytes]) -> set[bytes]:
    if not b"".join(names).translate(None, _FUNCTION):
        return set()
    return {name for name in names if name.translate(None, _FUNCTION)}


def _named(library: bytes, symbol: Symbol) -> Symbol:
    if isinstance(symbol, bytes):
        return symbol
    import ordlookup

    name: bytes = ordlookup.ordLookup(library.lower(), symbol)
    return name


def imports_group(libraries: list[Library]) -> dict[str, list[str]]:
    """The raw features of the group imports. Of two libraries of one name the last counts."""
    group: dict[str, list[str]] = {}
    for library in libraries:
        name = library.name.decode()
        group[name] = [
            symbol.decode() if isinstance(symbol, bytes) else f"{name}:ordinal{symbol}"
            for symbol in library.symbols
        ]
    return group
