"""The names of the splits, as tables, options and reports have them."""

from __future__ import annotations

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Samples whose near-duplicates lie in several splits: training or testing on one would leak.
EXCLUDED = "excluded"
# The sides of the split: no group may be on two of them.
SIDES = (TRAIN, VALIDATION, TEST)
SPLITS = (*SIDES, EXCLUDED)
