"""Real, small executables in any number: variants of the launchers that setuptools and pip ship."""

from __future__ import annotations

import importlib.util
import random
import string
from pathlib import Path

# Renamed in a variant, so that it has an import hash of its own; every launcher imports it.
_IMPORT = b"WaitForSingleObject\0"
_LARGEST = 20_000


def launchers() -> list[bytes]:
    """The launchers of at most 20 kB that are installed here; all of them where none is so small."""
    found: list[bytes] = []
    for package, folder in (("setuptools", "."), ("pip", "_vendor/distlib")):
        spec = importlib.util.find_spec(package)
        if spec and spec.origin:
            paths = sorted((Path(spec.origin).parent / folder).glob("*.exe"))
            found += [path.read_bytes() for path in paths]
    if not found:
        raise SystemExit("Neither setuptools' nor pip's launchers are installed here.")
    return [data for data in found if len(data) <= _LARGEST] or found


def variant(launcher: bytes, chance: random.Random, overlay_bytes: int = 8_000) -> bytes:
    """A launcher with up to so many bytes behind its sections, and half the time another import.

    It parses as its launcher does; sha256, TLSH and vector are its own.
    """
    data = launcher
    if chance.random() < 0.5:
        name = "".join(chance.choices(string.ascii_letters, k=len(_IMPORT) - 1))
        data = data.replace(_IMPORT, name.encode() + b"\0")
    # Bytes out of an alphabet of its own: TLSH would hardly tell even noise from even noise.
    alphabet = bytes(chance.sample(range(256), chance.randint(8, 256)))
    weights = [chance.random() ** 3 for _ in alphabet]
    size = chance.randint(256, overlay_bytes)
    return data + bytes(chance.choices(alphabet, weights, k=size))


def write_variants(folder: Path, count: int, seed: int) -> list[Path]:
    """Fill a folder with `count` variants; the same seed gives the same files."""
    chance = random.Random(seed)
    originals = launchers()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"{number:06d}.exe"
        path.write_bytes(variant(originals[number % len(originals)], chance))
        paths.append(path)
    return paths
