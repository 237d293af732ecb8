"""Containers that do not come up or are not well: which they are, and what they say of it themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator

from deploy.common.errors import ClusterError
from deploy.common.shell import run, say
from deploy.local.cluster.compose import Compose, Container, docker, environment

# One that ends so often while somebody waits for it will not come up.
_RESTARTS = 3
# What was ill before may get well now. So may what waits for another part: after that has come up there is time for
# another look at it, which may take half a minute on a busy machine.
_GRACE_S = 60.0
_SILENCE_S = 30.0
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_LINES = 3
_LONGEST = 400
_HEALTH = "{{with .State.Health}}{{range .Log}}{{.Output}}{{println}}{{end}}{{end}}"


def wait_until_well(compose: Compose, seconds: float, services: Collection[str] = ()) -> None:
    """Wait until all containers of some services, or of all, are healthy.

    Raises `ClusterError`, with the last words of those that are not, as soon as it is plain that they will not be.
    """
    began = said = changed = time.monotonic()
    last = ""
    before: dict[str, int] = {}

    def look() -> list[Container]:
        return [one for one in compose.ps() if not services or one.service in services]

    for one in look():
        if one.state == "restarting":
            # The engine would try it again in a minute; what ailed it may be mended, or it shows at once that it is not.
            docker("restart", one.id)
    while True:
        found = look()
        ill = [one for one in found if not is_well(one)]
        if found and not ill:
            return
        waited = time.monotonic() - began
        if (state := _services(ill)) != last or any(one.health == "starting" for one in ill):
            last, changed = state, time.monotonic()
        still = time.monotonic() - changed
        restarts = _restarts(ill)
        before = {**restarts, **before}
        lost = [
            one
            for one in ill
            if one.state in ("exited", "dead")
            or restarts.get(one.id, 0) - before.get(one.id, 0) >= _RESTARTS
            or (still > _GRACE_S and (one.health == "unhealthy" or one.state == "restarting"))
        ]
        if lost or waited > seconds:
            raise ClusterError(_report(lost or ill, waited))
        if time.monotonic() - said > _SILENCE_S:
            said = time.monotonic()
            say(f"  waiting for {_services(ill)}, {waited:.0f} s so far")
        time.sleep(1)


def explained(compose: Compose, error: ClusterError, waited: float) -> ClusterError:
    """What Compose said of a start that failed, and the last words of what is lost: Compose itself shows none."""
    ill = [one for one in compose.ps() if not is_well(one)]
    restarts = _restarts(ill)
    lost = [
        one
        for one in ill
        if one.state in ("exited", "dead", "restarting")
        or one.health == "unhealthy"
        or restarts.get(one.id, 0)
    ]
    return ClusterError(f"{error}\n{_report(lost, waited)}") if lost else error


def is_well(container: Container) -> bool:
    """Whether it runs, and its health check says that it works.

    All have such a check. Without a word of it, Compose has caught a container between two starts.
    """
    return container.state == "running" and container.health == "healthy"


def last_words(container: Container) -> Iterator[str]:
    """What its health check and the container itself said last, in a few lines."""
    try:
        checks = docker("inspect", "--format", _HEALTH, container.id).splitlines()
    except ClusterError:
        checks = []
    if container.state == "running":
        yield from _lines([line for line in checks if line.strip()][-1:])
    # With the time of each line, since standard output and error come apart.
    asked = run(
        ["docker", "logs", "--timestamps", "--tail", str(_LINES), container.id],
        environment=environment(),
    )
    lines = sorted((asked.stdout + asked.stderr).splitlines())[-_LINES:]
    yield from _lines(line.partition(" ")[2] for line in lines)


def _report(ill: list[Container], waited: float) -> str:
    names = _services(ill)
    lines = [f"Not well after {waited:.0f} s: {names}. The last that they said:"]
    for one in ill:
        lines += [f"  {one.name}: {one.status}", *(f"    {line}" for line in last_words(one))]
    words = names.replace(",", "")
    lines.append(
        f'`make cluster-logs SERVICE="{words}"` shows more. docs/operate/reliability.md has repairs.'
    )
    return "\n".join(lines)


def _services(containers: Iterable[Container]) -> str:
    return ", ".join(dict.fromkeys(one.service for one in containers))


def _lines(said: Iterable[str]) -> Iterator[str]:
    for line in said:
        # Whatever a program prints: no colors, and nothing that moves the cursor.
        text = "".join(c if c.isprintable() else " " for c in _COLOR.sub("", line)).strip()
        if text:
            yield text[:_LONGEST]


def _restarts(containers: Collection[Container]) -> dict[str, int]:
    """How often the engine has started each again, by id."""
    ids = [one.id for one in containers]
    if not ids:
        return {}
    # In the order that they are asked for; the ids that the engine tells are longer than Compose's.
    told = docker("inspect", "--format", "{{.RestartCount}}", *ids).split()
    return {id: int(count) for id, count in zip(ids, told, strict=True)}
