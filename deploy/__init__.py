"""Brings a release to machines, builds what is shipped, and starts it; no release imports any of it.

`common` is below all; `host` and `container` run where the product runs, `local` and `build` on a
developer's machine and in CI.
"""
