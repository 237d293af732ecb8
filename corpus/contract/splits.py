"""The names of the splits, as tables, options and reports have them."""

from __future__ import annotations

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Samples whose near-duplicates lie in several splits: training or testing on one would leak.
EXCLUDED = "excluded"
SPLITS = (TRAIN, VALIDATION, TEST, EXCLUDED)
