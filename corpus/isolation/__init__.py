"""Workspaces: folders with just what one sandboxed task needs, staged in, worked on, staged out.

A service that reads hostile bytes runs where there is no network and no secret. `stage_in` makes a folder
that is a corpus of its own to the service: the service stages there what it would stage in the whole
corpus. `stage_out` checks what was staged and brings it into the whole corpus. Both run on the trusted
side; `stage_out` believes nothing that it reads. Services know nothing of this package.

    format.json                           which format the files have, as in every corpus
    staging/<update>/update.json          the update's id, `began_at` and `sequence`; its parent snapshot stays outside
    staging/<update>/candidates/...       ingest: what to read
    workspace/task.json                   the service and the update that the workspace is for
    workspace/sources.json                ingest: the state of each source file, and which copy belongs to it
    workspace/sources/<number>            ingest: copies of the source files
    workspace/pending/<shard>.json        extract: which samples need vectors of which sets
    staging/<update>/features-NAME/...    extract: what a previous attempt staged
    blobs/...                             extract: the samples, as the corpus stores them
"""

from __future__ import annotations
