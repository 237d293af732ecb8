"""Stage `extract`: feature vectors of samples, one sandboxed file at a time."""
