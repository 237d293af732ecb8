"""Readers of sane PE files, by pefile's rules. What they do not vouch for raises `UnusualError`."""
