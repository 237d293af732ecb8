"""Where a cluster's API server answers: for users, and for the commands on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.common.base_url import NAME
from deploy.common.errors import ClusterError
from deploy.common.ports import LOOPBACK, free_port, holder, is_free
from deploy.local.cluster.compose import docker
from deploy.local.cluster.workdir import Place

_PROJECT = "com.docker.compose.project"
# An address that means all of this machine's, and one that is among them.
_ALL = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104


def ui_url(place: Place) -> str:
    """The address that users type."""
    return place.settings()[NAME].rstrip("/")


def api_url(place: Place) -> str:
    """The address that the commands here call. It needs no proxy, and no path of `ui_url`."""
    return origin(place.settings())


def origin(variables: Mapping[str, str]) -> str:
    """The address on this machine at which compose publishes the API server."""
    address = variables.get("CORPUS_API_ADDRESS", "")
    host = _ALL.get(address, address)
    return f"http://{f'[{host}]' if ':' in host else host}:{variables['CORPUS_API_PORT']}"


def refuse_taken_port(place: Place, variables: Mapping[str, str]) -> None:
    """Raise `ClusterError` if somebody else holds the port of the UI; it says who, and what to do."""
    address, port = (
        variables.get("CORPUS_API_ADDRESS") or LOOPBACK,
        int(variables["CORPUS_API_PORT"]),
    )
    row = f'{{{{.Label "{_PROJECT}"}}}}\t{{{{.Names}}}}'
    listed = docker("ps", "--filter", f"publish={port}", "--format", row).splitlines()
    containers = dict(line.split("\t") for line in listed)
    if variables["COMPOSE_PROJECT_NAME"] in containers:
        return
    try:
        if is_free(port, address):
            return
    except OSError as error:
        raise ClusterError(
            f"CORPUS_API_ADDRESS is {address}, which this machine does not have: {error.strerror}."
        ) from None
    other = next(iter(containers.values()), None)
    who = f"the container {other}" if other else holder(port)
    change = f"PORT={free_port()} make cluster-up"
    if "CORPUS_API_PORT" in place.own():
        change = f"change CORPUS_API_PORT in {place / 'site.env'}"
    raise ClusterError(
        f"Port {port} of {address} is held by {who or 'another program (as root, `ss -ltnp` tells which)'}.\n"
        f"Stop that, or choose another port: {change}"
    )
