"""Which new samples stand between two sides of the split.

Each new sample takes the side that is the fewest links away. One that has two sides equally near,
or a neighbour as far out as itself on another side, is a bridge; no side reaches beyond a bridge.
So of two linked samples that are not bridges both are on one side, and what is left out is only
what lies on the border. Groups that were excluded before are on no side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.services.group.tlsh_index import Indices


def sides_of_samples(
    samples: int, linked: tuple[Indices, Indices], known: tuple[Indices, npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """Find the side of each sample: uint8 [samples], one bit a side.

    0 means that the sample is a bridge, or that it is only reached through one.

    `linked` are the two ends of links between samples, int64 [links] each, every link in both
    directions. `known` are samples that are linked to groups of the past, int64 [n], and the bit of
    each group's side, uint8 [n]; 0 for a group on no side. A sample may be there several times. All
    samples are positions from 0 to samples - 1: `IndexError` for others.
    """
    start, end = linked
    side = np.zeros(samples, np.uint8)
    bridge = np.zeros(samples, np.bool_)
    reached = np.zeros(samples, np.uint8)
    np.bitwise_or.at(reached, *known)
    while reached.any():
        fresh = np.bitwise_count(reached) == 1
        bridge |= np.bitwise_count(reached) > 1
        border = fresh[start] & fresh[end] & (reached[start] != reached[end])
        bridge[start[border]] = True
        fresh &= ~bridge
        side[fresh] = reached[fresh]
        reached = np.zeros(samples, np.uint8)
        onward = (side[start] != 0) & (side[end] == 0) & ~bridge[end]
        np.bitwise_or.at(reached, end[onward], side[start[onward]])
    return side
