"""Containers of tasks that outlived them, and their scratch folders."""

from __future__ import annotations

from deploy.local.cluster.compose import Compose, docker
from deploy.local.cluster.workdir import Place


def task_containers(place: Place) -> list[str]:
    """Ids of all that this cluster's tasks have on this engine; another cluster has another scratch."""
    label = f"label=corpus.scratch={place / 'scratch'}"
    return docker("ps", "--all", "--quiet", "--filter", label).split()


def lost(compose: Compose) -> list[str]:
    """What the reaper would remove now, in its words."""
    reaper = ("python", "-m", "operators.reaper", "--dry-run")
    said = compose.run("exec", "-T", "reaper", *reaper, capture=True).splitlines()
    return [line.partition("would remove ")[2] for line in said if "would remove " in line]
