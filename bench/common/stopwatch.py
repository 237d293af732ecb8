"""CPU time by part of a feature set: its functions timed where they are called, none counted twice."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

_PACKAGE = "corpus.features.ember_v3"

EMBER_V3: Mapping[str, Sequence[str]] = {
    "general, histogram, byteentropy": ["raw:Content", "kernels.content:Content.entropy_of"],
    "strings": ["raw:strings"],
    "header": ["pe.image:read_headers", "pe.image:header_warnings", "pe.image:header_group"],
    "section": ["pe.image:read_sections", "pe.image:address_ranges", "pe.image:section_group"],
    "imports": [
        "pe.imports:ImportReader.imports",
        "pe.imports:ImportReader.delayed_imports",
        "raw:imports_group",
        "pe.image:bound_imports",
    ],
    "exports": ["pe.image:exports"],
    "richheader": ["pe.image:rich_header"],
    "warnings: resources": ["pe.image:resources"],
    "warnings: exceptions": ["pe.image:runtime_functions"],
    "warnings: relocations": ["pe.image:relocations"],
    "warnings: debug, TLS, load config": ["pe.image:debug", "pe.image:tls", "pe.image:load_config"],
    "authenticode": ["raw:authenticode"],
    "pefile, for unusual files": ["pefile_compat.fallback:read_image_by_pefile"],
    "numbers from raw features": [":vectorize"],
}
"""Which functions make up a part, as module:name below the package."""


class Stopwatch:
    """Wraps the functions of the parts; `spent` has their CPU seconds, and `rest` what is in none.

    A part that another calls counts for itself. Names that are no longer there are in `unknown`.
    """

    def __init__(self, parts: Mapping[str, Sequence[str]] = EMBER_V3, package: str = _PACKAGE):
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.unknown: list[str] = []
        self._running: list[str] = []
        self._since = 0.0
        self._undo: list[tuple[Any, str, Any]] = []
        for part, places in parts.items():
            self.spent[part] = 0.0
            for place in places:
                self._wrap(part, package, place)

    def run(self, function: Callable[[bytes], Any], data: bytes) -> Any:
        return self._timed("rest", function)(data)

    def close(self) -> None:
        for owner, name, original in reversed(self._undo):
            setattr(owner, name, original)

    def _wrap(self, part: str, package: str, place: str) -> None:
        module, _, path = place.partition(":")
        *owners, name = path.split(".")
        try:
            owner: Any = import_module(f"{package}.{module}" if module else package)
            for step in owners:
                owner = getattr(owner, step)
            original = getattr(owner, name)
        except (ImportError, AttributeError):
            self.unknown.append(place)
            return
        self._undo.append((owner, name, original))
        setattr(owner, name, self._timed(part, original))

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._turn(part)
            try:
                return function(*arguments, **options)
            finally:
                self._turn(None)

        return timed

    def _turn(self, part: str | None) -> None:
        """Book the time since the last turn to whoever ran, and go down or up."""
        now = time.process_time()
        if self._running:
            self.spent[self._running[-1]] += now - self._since
        if part is None:
            self._running.pop()
        else:
            self._running.append(part)
        self._since = time.process_time()
