"""Where a workspace keeps what stands for the corpus outside; isolation writes it, `WorkspaceInputs` reads it."""

from __future__ import annotations

# It lies beside the staging area, and is there from when a folder is made a workspace.
FOLDER = "workspace"
# Says what the workspace is for. It is written last, and tells a workspace from a corpus.
TASK = f"{FOLDER}/task.json"
SOURCES = f"{FOLDER}/sources.json"
PENDING = f"{FOLDER}/pending"


def source_key(number: int) -> str:
    """Return the key of the copy of a source file."""
    return f"{FOLDER}/sources/{number}"


def pending_key(shard: str) -> str:
    """Return the key of the list of a shard's samples that need vectors."""
    return f"{PENDING}/{shard}.json"
