"""Neighbours within TLSH distance 30: the index against brute force with py-tlsh, in one run.

    python bench/tlsh_index.py --rows 100000 --queries 200

Digests are generated like those of executables: lengths in a bell, ratios unevenly spread, every
fifth digest a mutated copy of an earlier one. Both sides must find the same number of pairs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pyarrow as pa
import tlsh

from corpus.services.group.tlsh_index import TlshIndex, parse


def generate(rows: int, seed: int) -> list[str]:
    """Digests of made-up files, as `T1` and 70 hex digits."""
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (rows, 35), np.uint8)
    data[:, 1] = np.clip(random.normal(150, 20, rows), 0, 255).astype(np.uint8)
    ratios = np.clip(random.normal(7, 3, (rows, 2)), 0, 15).astype(np.uint8)
    data[:, 2] = (ratios[:, 0] << 4) | ratios[:, 1]
    for row in range(5, rows, 5):
        data[row] = data[random.integers(0, row)]
        for position in random.integers(3, 35, random.integers(0, 12)):
            data[row, position] ^= 1 << random.integers(0, 8)
    data[:, 1] = (data[:, 1] << 4) | (data[:, 1] >> 4)
    return [f"T1{digest.tobytes().hex().upper()}" for digest in data]


def read(digest: str) -> tlsh.Tlsh:
    # Parsed once: tlsh.diff would parse both digests of every pair.
    parsed = tlsh.Tlsh()
    parsed.fromTlshStr(digest)
    return parsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="digests in the corpus")
    parser.add_argument("--queries", type=int, default=200, help="new digests")
    parser.add_argument("--distance", type=int, default=30, help="limit of the distance")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated digests")
    parser.add_argument("--no-baseline", action="store_true", help="leave py-tlsh out")
    options = parser.parse_args()

    digests = generate(options.rows + options.queries, options.seed)
    order = np.random.default_rng(options.seed).permutation(len(digests))
    shuffled = [digests[i] for i in order]
    base, new = shuffled[: options.rows], shuffled[options.rows :]
    base_column, new_column = pa.chunked_array([base]), pa.chunked_array([new])

    start = time.perf_counter()
    index = TlshIndex(parse(base_column), options.distance)
    built = time.perf_counter()
    pairs = sum(len(batch.query) for batch in index.neighbours(parse(new_column)))
    done = time.perf_counter()
    ours = done - start
    print(f"{options.rows:,} digests, {options.queries:,} queries, distance {options.distance}")
    print(f"{'':24}{'seconds':>10}{'pairs':>10}")
    print(f"{'index: build':24}{built - start:10.3f}")
    print(f"{'index: ask':24}{done - built:10.3f}{pairs:10}")
    if options.no_baseline:
        return
    start = time.perf_counter()
    known, asked = [read(digest) for digest in base], [read(digest) for digest in new]
    expected = sum(a.diff(b) <= options.distance for a in asked for b in known)
    baseline = time.perf_counter() - start
    print(f"{'py-tlsh, all with all':24}{baseline:10.3f}{expected:10}")
    print(f"{'ratio':24}{baseline / ours:9.1f}x")
    if pairs != expected:
        raise SystemExit("The index and py-tlsh disagree.")


if __name__ == "__main__":
    main()
