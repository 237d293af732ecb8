"""Files to vectors without a corpus: no store, no update."""
