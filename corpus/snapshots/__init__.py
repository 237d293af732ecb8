"""The reading side: open a snapshot, its label history, diff, verify, export. Nothing here writes to a corpus."""
