"""The files of tests/data/ember_v3: installed everywhere, made of those, or made here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain

from tests.support.executables import real_pes, small_pe
from tests.support.fuzz.mutations import kinds, mutated
from tests.support.pe.built import BOUND_IMPORT, DEBUG, LOAD_CONFIG, RESOURCE, TLS, built

_BUILT = {
    "resources": RESOURCE, "debug": DEBUG, "tls": TLS, "load_config": LOAD_CONFIG,
    "bound_imports": BOUND_IMPORT,
}  # fmt: skip
_SIZES = (1, 2, 3, 4, 5, 2047, 2048, 2049, 3071, 3072, 3073, 4096)
_LARGEST = 20_000
_SCRIPT = b"""#!/bin/sh
# HKCU and C:/ mean nothing here, but "crypt" and powershell -enc count.
curl -A 'User-Agent: x' https://example.org/download?file=1 ftp://10.0.0.1/ || GET / HTTP/1.1
echo fe80::1:2 00:1b:44:11:3a:b7 1BoatSLRHtKNngkdXEeobR76b53LETtpyT 256.1.2.3 > /tmp/x
"""
_PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Action /S /URI /URI (http://example.org/a) >>\nendobj\n"
_PDF += b"2 0 obj\n<< /Filter /FlateDecode /Length 300 /EmbeddedFile >>\nstream\n"


def inputs() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file; the name of a mutated one says of what and how it is made."""
    launchers = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in real_pes()}
    seen = set()
    # Some launchers are the same, and some damage finds nothing to aim at.
    for name, data in chain(launchers.items(), _mutations(launchers), _built(), _others()):
        if data not in seen:
            seen.add(data)
            yield name, data


def _mutations(launchers: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Each kind of damage to three small launchers, every other one also to a larger one."""
    small = [name for name, data in launchers.items() if len(data) < _LARGEST]
    large = [name for name in launchers if name not in small]
    made = []
    for number, kind in enumerate(kinds(launchers[small[0]])):
        for turn, names in enumerate((small, small, small, large)):
            if names is small or number % 2 == 0:
                made.append((names[(number + turn) % len(names)], f"{number:x}{turn}:{kind}"))
    for name, recipe in sorted(made):
        yield f"{name} {recipe}", mutated(launchers[name], recipe, launchers[small[0]])


def _built() -> Iterator[tuple[str, bytes]]:
    yield "small_pe", small_pe()
    for name, index in _BUILT.items():
        for seed in range(6):
            yield f"built/{name}/{seed}", built(random.Random(f"{name} {seed}"), index)[0]


def _others() -> Iterator[tuple[str, bytes]]:
    rng = random.Random("ember-v3")
    noise = rng.randbytes(5000)
    for size in _SIZES:
        yield f"noise/{size}", noise[:size]
        yield f"zeros/{size}", bytes(size)
    yield "script", _SCRIPT
    yield "pdf", _PDF + noise[:300] + b"\nendstream\nendobj\n"
    yield "text", " ".join(map(str, range(1000))).encode()
    yield "text in UTF-16", "A text of characters two bytes long.".encode("utf-16")
    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + b"\x02\0\x3e\0\x01\0\0\0" + bytes(40)
    yield "elf", elf + b"/lib64/ld-linux-x86-64.so.2\0" + noise[:1000] + b"\0/proc/self/exe\0"
    yield (
        "mach-o",
        b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(100) + b"__TEXT\0/usr/lib/libSystem.B.dylib\0",
    )
    yield "only MZ", b"MZ"
    yield "DOS program", b"MZ" + bytes(58) + b"\xff\xff\0\0" + b"!This program " + noise[:200]
    yield "no PE header", b"MZ" + bytes(58) + b"\x40\0\0\0" + b"PX\0\0" + bytes(300)
