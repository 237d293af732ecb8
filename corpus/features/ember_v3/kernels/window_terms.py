"""The terms of a window's entropy, in the very bits that the definition's results have.

numpy's logarithm of a float32 is not the same on all processors: with AVX-512 it is another
function, whose last bit differs for one argument in seven. A window whose entropy is next to the
limit of two bins would then count in another bin on another machine. The vectors that others
compare with come from machines with AVX-512; their logarithms are kept here, for every machine.
"""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["WINDOW", "window_terms"]

WINDOW = 2_048

# For k = 1 to 2,048 how many units in the last place numpy's log2 of k / 2048 is from the nearest
# float32, plus 2; two bits each, from the lowest on.
_UNITS_OFF = base64.b64decode(
    "eNqFkEFOxDAMRe/BvZCYsG7RZMRwAo5BpJp1I/lHZFawsES5BzcYV+rsWICEcEqnDKgS3sT5cZ6/DSwHLSs6pvznSX5L"
    "FOdUf8onMS228zO7VLAc01GrEclPFI2QWFjCCIingNGgy+XU0RNw0tLj3yglef6zLxfJk+EjLoupeoAkFd1JQhut35OZ"
    "6whsBxM5M1gDIbhK38pP2iP7refbx3q9ucIl9Q8rNNd0dhEM2ViH6J3QsyYQt3UbxnGjYSijOOAyUQ9OrP3HDXYCenlP"
    "w6b7HCCi0h1ebVdpkLIr+FCt2/Omcq65Q7M1uvmMuU2cBP7eFrTK33zCFz1GT+s="
)


def window_terms() -> NDArray[np.float32]:
    """-p * log2(p) in float32, where p = k / 2048, for k = 0 to 2,048; the first is 0."""
    packed = np.frombuffer(zlib.decompress(_UNITS_OFF), np.uint8)
    units_off = (packed[:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3).ravel().astype(
        np.int32
    ) - 2
    # No logarithm in question is so near to a tie of two float32 that the library's last bit counts.
    nearest = np.array([math.log2(k / WINDOW) for k in range(1, WINDOW + 1)]).astype(np.float32)
    logarithms = (nearest.view(np.int32) + units_off).view(np.float32)
    shares = np.arange(WINDOW + 1, dtype=np.float32) / np.float32(WINDOW)
    return np.concatenate([np.zeros(1, np.float32), -shares[1:] * logarithms])
