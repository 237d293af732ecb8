"""Make vectors.npz anew with the reference: what test_reference.py expects.

    python -m tests.data.ember_v3.make CHECKOUT --python PYTHON

CHECKOUT is a checkout of github.com/FutureComputing4AI/EMBER2024, PYTHON an interpreter that has its
dependencies (README.md says which were used).
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

import numpy as np

from bench.common.reference import Reference
from tests.support.pe.reference_inputs import inputs

VECTORS = Path(__file__).with_name("vectors.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="the reference's interpreter")
    options = parser.parse_args()
    names, digests, vectors = [], [], []
    with (
        Reference(options.checkout, options.python) as reference,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder, "file")
        for name, data in inputs():
            path.write_bytes(data)
            answer = reference.ask(path)
            names.append(name)
            digests.append(hashlib.sha256(data).hexdigest())
            if answer.vector is None:
                raise SystemExit(f"{name}: {answer.error}")
            vectors.append(answer.vector)
            print(name)
    np.savez_compressed(
        VECTORS,
        name=np.array(names),
        sha256=np.array(digests),
        X=np.stack(vectors),
    )
    print(f"{len(names)} files, {VECTORS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
