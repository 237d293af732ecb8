"""A whole update whose services are killed before each of their writes in turn, and tried again.

    python -m tests.support.killed_chain ROOT SOURCE VERDICTS [--undisturbed]

Prints a JSON line: how many kills there were, and what was published.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

from corpus.contract.progress import Progress
from corpus.contract.registry import SERVICES
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.settings import Settings
from corpus.snapshots.verify import verify
from corpus.store import delta
from corpus.store.snapshots import Snapshot
from tests.support.killed_publish import DyingStore, in_child

UPDATE = "u1"


def context(root: Path, source: Path, verdicts: Path) -> Context:
    settings = Settings.load(
        {
            "store": {"root": str(root)},
            "sources": {"urls": [str(source)]},
            "verdicts": {"feeds": [{"place": str(verdicts), "reporter": "*"}]},
            "shards": {"max_files": 4},
        }
    )
    return replace(Context.from_settings(settings), progress=Progress(write=lambda line: None))


def run(service: str, made: Context) -> None:
    run_service(SERVICES[service].request(update=UPDATE), made)


def killed(service: str, made: Context, point: int) -> None:
    run(service, replace(made, store=DyingStore(made.settings.store.root, point)))


def outcome(made: Context, kills: int) -> None:
    snapshot = Snapshot.open(made.store)
    rows = {
        table: delta.open_table(made.store, table).to_pyarrow_table(columns=["update_id"]).num_rows
        for table in snapshot.manifest["tables"]
    }
    said = {
        "kills": kills,
        "digest": snapshot.manifest["content_digest"],
        "counts": snapshot.manifest["counts"],
        "rows": rows,
        "findings": [str(finding) for finding in verify(made.store).findings],
    }
    print(json.dumps(said), flush=True)


def main(arguments: list[str]) -> int:
    disturbed = "--undisturbed" not in arguments
    made = context(*map(Path, arguments[:3]))
    kills = 0
    for service in SERVICES:
        point = 0
        # Each attempt goes on from what the one before it left; the last is not killed.
        while disturbed:
            status = in_child(lambda service=service, point=point: killed(service, made, point))
            if status == 0:
                break
            if status != -signal.SIGKILL:
                return 2
            kills, point = kills + 1, point + 1
        # Once more, as a cleared task would: doing it again adds nothing.
        if in_child(lambda service=service: run(service, made)):
            return 3
    return in_child(lambda: outcome(made, kills))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
