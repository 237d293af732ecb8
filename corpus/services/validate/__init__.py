"""Stage `validate`: judges a staged update by its gates."""
