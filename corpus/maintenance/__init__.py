"""What keeps a corpus in order beside its updates: clean, abandon. Nothing here changes a snapshot."""
