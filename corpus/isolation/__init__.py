"""Slices: just what one task needs of a corpus, as a corpus of its own, for a sandbox to work in.

A service that reads hostile bytes runs where there is no network and no secret. `take` makes a folder in
which it stages just what it would stage in the whole corpus, and `give` checks what it staged there and
brings that into the whole corpus. Both run on the trusted side; `give` believes nothing it reads.

    staging/<update>/update.json          the update's identity; `slice` stands for the base, which is not here
    staging/<update>/candidates/...       ingest: what to read
    slice/sources.json                    ingest: what each source file looked like, and which copy is its
    slice/sources/<number>                ingest: copies of the source files
    slice/wanted/<shard>.json             extract: which samples need vectors of which sets
    staging/<update>/features-NAME/...    extract: what a former attempt staged
    blobs/...                             extract: the samples, as the corpus stores them
"""

from __future__ import annotations
