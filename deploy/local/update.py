"""One update of the corpus, told as it goes: what `make run` and `make cluster-run` do alike."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from deploy.common.airflow_api import AirflowApi
from deploy.local.follow import follow
from deploy.local.summary import latest_id, summary

DAG = "corpus_update"


def run_update(api: AirflowApi, root: Path | None) -> bool:
    """Run the master DAG and print its progress and what it published; False where it failed.

    Without a root, where the corpus cannot be read from here, what it published is told by a link.
    """
    before = latest_id(root) if root else None
    api.wait_for_dag(DAG)
    began = time.monotonic()
    run_id = api.trigger(DAG)
    print(f"Update {run_id} of {DAG}:", flush=True)
    state = follow(api, DAG, run_id)
    print(f"The update ended: {state}, after {time.monotonic() - began:.0f} s.\n")
    page = f"{api.url}/dags/{DAG}/runs/{run_id}"
    if state != "success":
        print(f"Its page: {page}")
        return False
    if root is None:
        print(f"Its page, with the data card at the task publish: {page}")
        return True
    after = latest_id(root)
    if after is None:
        print("There was nothing to publish: no executable in the sources.")
        return False
    if after == before:
        print(f"Nothing new: {after} stays the latest snapshot, and no empty one was published.\n")
    command = os.path.relpath(Path(sys.executable).with_name("corpus"))
    print("\n".join(summary(root, command)))
    return True


def absolute(url: str) -> str:
    """A folder or file as an absolute path; any other URL as it is."""
    return url if "://" in url else str(Path(url).absolute())
