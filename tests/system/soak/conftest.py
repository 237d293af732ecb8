"""The cluster's own fixtures: a soak of the cluster has the cluster that its tests have."""

from __future__ import annotations

from tests.system.cluster.conftest import cluster, engine
from tests.system.cluster.harness import lab, small

# Fixtures are what stands in here.
__all__ = ["cluster", "engine", "lab", "small"]
