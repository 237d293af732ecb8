"""Stop a cluster; with `purge`, remove what it kept."""

from __future__ import annotations

from deploy.local.cluster.compose import Compose, docker
from deploy.local.cluster.configuration import images
from deploy.local.cluster.leftovers import task_containers
from deploy.local.cluster.ownership import remove
from deploy.local.cluster.workdir import Place


def down(place: Place, *, purge: bool = False, seconds: int | None = None) -> None:
    """Stop all services, once their tasks have ended or their time to do so is over.

    :param seconds: how long a service may take; its `stop_grace_period` if not given.
    """
    if not place.exists:
        print("There is no cluster in this work folder.")
        return
    compose = Compose(place)
    image = images(place.settings())["airflow"]
    print("Stopping the cluster; workers end their tasks first ...", flush=True)
    patience = [] if seconds is None else ["--timeout", str(seconds)]
    stop_airflow(compose, *patience)
    volumes = ["--volumes"] if purge else []
    compose.run("--profile", "*", "down", "--remove-orphans", *patience, *volumes, capture=True)
    if left := task_containers(place):
        docker("rm", "--force", *left)
    if not purge:
        print(f"Stopped. The data stays: the volumes of Redis and Postgres, and {place.folder}.")
        return
    remove(place.folder, image)
    print(
        f"Stopped. Removed: the volumes of Redis and Postgres, and {place.folder}, corpus included."
    )


def stop_airflow(compose: Compose, *patience: str) -> None:
    """Stop Airflow's services; those that tasks need until they have ended come last."""
    for services in (
        # Nothing new is queued while the workers end what they have.
        ["scheduler"],
        ["worker"],
        ["api-server", "dag-processor", "triggerer", "reaper"],
    ):
        compose.run("stop", *patience, *services, capture=True)
