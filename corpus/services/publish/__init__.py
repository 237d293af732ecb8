"""Stage `publish`: makes an immutable snapshot of a valid update."""
