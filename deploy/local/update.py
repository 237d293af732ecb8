"""One update of the corpus, told as it goes: what `make run` and `make cluster-run` do alike."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from corpus.contract.run_identity import run_uuid, update_id
from deploy.common.airflow_api import AirflowApi
from deploy.common.shell import say
from deploy.local.follow import Follower
from deploy.local.summary import is_published, latest_id, summary

DAG = "corpus_update"


def run_update(
    api: AirflowApi,
    root: Path | None,
    watch: Callable[[], None] = lambda: None,
    ui: str | None = None,
) -> bool:
    """Run the master DAG and print its progress and what it published; False if it failed.

    Without a root, if the corpus cannot be read from here, what it published is told by a link. `watch`
    is called again and again while there is something to wait for; `ui` is the address that a person types, if it
    is another than the API's.
    """
    api.wait_for_dag(DAG)
    began = time.monotonic()
    run_id = api.trigger(DAG)
    say(f"Update {run_id} of {DAG}:")
    state = Follower(api, DAG, run_id, watch).to_the_end()
    say(f"The update ended: {state}, after {time.monotonic() - began:.0f} s.\n")
    page = f"{ui or api.url}/dags/{DAG}/runs/{run_id}"
    if state != "success":
        say(f"Its page: {page}")
        return False
    if root is None:
        say(f"Its page, with the data card at the task publish: {page}")
        return True
    latest = latest_id(root)
    if latest is None:
        say("There was nothing to publish: no executable in the sources.")
        return False
    # Another run may have published meanwhile; what is shown is what this one did. It has its date since it started.
    own = update_id(api.run_after(DAG, run_id), run_uuid(DAG, run_id))
    published = own if is_published(root, own) else latest
    if published != own:
        say(f"Nothing new: {latest} stays the latest snapshot, and no empty one was published.\n")
    command = os.path.relpath(Path(sys.executable).with_name("corpus"))
    say("\n".join(summary(root, command, published)))
    return True


def absolute(url: str) -> str:
    """A folder or file as an absolute path; any other URL as it is."""
    return url if "://" in url else str(Path(url).absolute())
