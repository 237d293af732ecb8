"""Mutated files: the same base, recipe and other file give the same bytes, whatever ran before."""

from __future__ import annotations

import random

from tests.support.fuzz.elf_mutations import MUTATIONS as ELF_MUTATIONS
from tests.support.fuzz.elf_mutations import mutate_elf
from tests.support.fuzz.pe_mutations import MUTATIONS as PE_MUTATIONS
from tests.support.fuzz.pe_mutations import mutate_pe

# What the strings of a file may have, patterns of ember-v3 and near misses of them.
_TEXTS = (
    b"http://example.org/a?b=c", b"xhttps://e", b"127.0.0.1", b"1.2.3.256", b"fe80::1:2", b"00:1b:44:11:3a:b7",
    b"1BoatSLRHtKNngkdXEeobR76b53LETtpyT", b"C:/x", b"HKCU\\Software", b"!This program ", b".click(",
    b"GET / HTTP/1.1", b"User-Agent: x", b"powershell -enc", b"\xc3\xa4\xf0\x9f\x98\x80", b"    \x7f ",
)  # fmt: skip

_ANY = (
    "cut", "cut_end", "grown", "bits", "noise", "zeros", "block_moved", "block_removed", "spliced",
    "text", "beginning",
)  # fmt: skip


def kinds(base: bytes) -> list[str]:
    """The kinds of damage that make sense for a file."""
    if base[:2] == b"MZ":
        return [*PE_MUTATIONS, *_ANY]
    return [*ELF_MUTATIONS, *_ANY] if base[:4] == b"\x7fELF" else list(_ANY)


def mutated(base: bytes, recipe: str, other: bytes = b"") -> bytes:
    """A damaged copy. `recipe` is "seed:kind+kind..."; `other` is the file that a splice brings in."""
    seed, _, listed = recipe.partition(":")
    rng = random.Random(f"{seed} {listed}")
    data = bytearray(base)
    for kind in listed.split("+"):
        if kind in PE_MUTATIONS:
            mutate_pe(rng, data, kind)
        elif kind in ELF_MUTATIONS:
            mutate_elf(rng, data, kind)
        else:
            _mutate(rng, data, kind, other)
    return bytes(data)


def recipe(rng: random.Random, base: bytes) -> str:
    """A recipe for a file: mostly one kind of damage, sometimes up to four."""
    chosen = rng.choices(kinds(base), k=rng.choice((1, 1, 1, 2, 2, 3, 4)))
    return f"{rng.getrandbits(32):08x}:{'+'.join(chosen)}"


def _mutate(rng: random.Random, data: bytearray, kind: str, other: bytes) -> None:
    size = len(data)
    if not size:
        return
    start = rng.randrange(size)
    length = rng.choice((1, 16, 512, 5000))
    if kind == "cut":
        del data[rng.choice((rng.randrange(size), rng.randrange(min(size, 2048)))) :]
    elif kind == "cut_end":
        del data[max(1, size - rng.choice((1, 2, 8, 512, rng.randrange(1, 5000)))) :]
    elif kind == "grown":
        data += rng.choice((bytes(length), rng.randbytes(length), bytes(data[:length])))
    elif kind == "bits":
        for _ in range(rng.choice((1, 2, 16, 200))):
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == "noise":
        data[start : start + length] = rng.randbytes(len(data[start : start + length]))
    elif kind == "zeros":
        end = min(size, start + length)
        data[start:end] = rng.choice((b"\0", b"\xff")) * (end - start)
    elif kind == "block_moved":
        target = rng.randrange(size)
        block = data[start : start + length]
        data[target : target + len(block)] = block
    elif kind == "block_removed":
        del data[start : start + length]
    elif kind == "spliced":
        block = other[: rng.randrange(len(other) + 1)] if rng.random() < 0.5 else other[start:]
        data[start : start + len(block)] = block
    elif kind == "text":
        for _ in range(rng.choice((1, 10))):
            text = (
                rng.choice((b"", b" ", b"\0", b"w"))
                + rng.choice(_TEXTS)
                + rng.choice((b"", b"/ ", b"0"))
            )
            place = rng.randrange(size)
            data[place : place + len(text)] = text
    elif kind == "beginning":
        for _ in range(rng.choice((1, 2, 4, 16))):
            data[rng.randrange(min(size, 1024))] = rng.randrange(256)
