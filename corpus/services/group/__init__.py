"""Stage `group`: near-duplicates by TLSH and import hash."""
