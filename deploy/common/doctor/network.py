"""Checks of the network: loopback, this machine's name, proxies, ports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from deploy.common.doctor.finding import Answer, ok, warn, wrong

_LOOK_UP_S = 1.0


def loopback() -> Answer:
    """Whether this machine reaches itself: Airflow's parts talk to each other there."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=0.5),
        ):
            return ok("127.0.0.1 can be reached")
    except OSError as error:
        return wrong(
            f"127.0.0.1 cannot be reached: {error.strerror or error}.",
            "As root: ip link set lo up",
        )


def own_name() -> Answer:
    """How long it takes to look up the name of this machine, as Airflow does at each task."""
    found: list[str] = []
    began = time.monotonic()
    # It may take half a minute, and cannot be told to take less.
    asking = threading.Thread(target=lambda: found.append(socket.getfqdn()), daemon=True)
    asking.start()
    asking.join(_LOOK_UP_S)
    name = socket.gethostname()
    if not found:
        return warn(
            f"The look-up of this machine's name, {name}, takes more than {_LOOK_UP_S:g} s, and Airflow does it at "
            "each task.",
            f"As root: echo '127.0.1.1 {name}' >> /etc/hosts",
        )
    return ok(f"{found[0]}, looked up in {time.monotonic() - began:.2f} s")


def proxies(shell: Mapping[str, str]) -> Answer:
    """Whether the clients of pip and of Airflow's tasks can use the proxies that a shell names.

    Both fail on kinds that they do not know before they send anything, even where `no_proxy` names the host.
    """
    named = _proxies(shell)
    if "*" in named.get("no", "").replace(" ", "").split(","):
        return ok("none is used (no_proxy=*)")
    for kind in ("http", "https", "all"):
        address = named.get(kind)
        if address and (fault := _fault(address)):
            names = f"{kind}_proxy {kind.upper()}_PROXY"
            return wrong(
                f"{kind}_proxy {fault}, and Airflow's tasks fail on it, whatever host they call.",
                f"Type this; the other proxies stay: unset {names}",
            )
    used = [f"{kind}_proxy" for kind in ("http", "https", "all") if named.get(kind)]
    return ok(f"{', '.join(used)}; not for this machine itself" if used else "none is named")


def _proxies(shell: Mapping[str, str]) -> dict[str, str]:
    """By kind, as `urllib` and so Airflow's client read an environment: what is in small letters wins."""
    found = {}
    for name, value in sorted(shell.items(), key=lambda item: item[0].islower()):
        kind, _, suffix = name.lower().rpartition("_")
        if suffix == "proxy" and kind:
            found[kind] = value
    return found


def _fault(address: str) -> str:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme not in ("http", "https"):
        return f"names a proxy of the kind {parts.scheme}"
    try:
        _ = parts.port
    except ValueError:
        return "has a port that is not a number"
    return ""
