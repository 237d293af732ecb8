"""The few requests that tasks, and the reaper, make of a Docker engine.

Each has a connection of its own, so that a signal handler may make one in the middle of another. The
engine's full client would load for a quarter of a second, in the process of every task.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from operators.errors import EngineError, NoSuchThingError

_HEADER = 8
_READ = 65_536
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Client:
    """Speaks to the first engine that takes a connection.

    Raises `EngineError` if it refuses, and `OSError` or `HTTPException` if it does not answer.

    :param urls: `unix:///run/docker.sock`, `tcp://host:2375` or, with `tls`, `https://host:2376`.
    :param timeout_s: how long the engine may take to answer.
    """

    def __init__(
        self, *urls: str, timeout_s: float = 60.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.urls = urls
        self.timeout_s = timeout_s
        self.tls = tls

    def containers(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Containers in whatever state that have all these labels, given by name or as `name=value`."""
        filters = json.dumps({"label": list(labels)})
        found: list[dict[str, Any]] = self._json(
            "GET", "/containers/json", {"all": 1, "filters": filters}
        )
        return found

    def container(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._json("GET", f"/containers/{name}/json")
        return found

    def images(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Images that have all these labels, given by name or as `name=value`."""
        filters = json.dumps({"label": list(labels)})
        found: list[dict[str, Any]] = self._json("GET", "/images/json", {"filters": filters})
        return found

    def image(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._json("GET", f"/images/{_quoted(name)}/json")
        return found

    def remove_image(self, name: str) -> None:
        self._json("DELETE", f"/images/{_quoted(name)}")

    def create(self, config: Mapping[str, Any]) -> str:
        """Create a container; its id."""
        return str(self._json("POST", "/containers/create", body=config)["Id"])

    def start(self, container: str) -> None:
        self._json("POST", f"/containers/{container}/start")

    def wait(self, container: str, timeout_s: float) -> None:
        """Return when it does not run any more. Raises `TimeoutError`."""
        self._json("POST", f"/containers/{container}/wait", timeout_s=timeout_s)

    def stop(self, container: str, grace_s: int) -> None:
        """Send TERM, and KILL when it runs still after `grace_s`."""
        path, patience = f"/containers/{container}/stop", self.timeout_s + grace_s
        self._json("POST", path, {"t": grace_s}, timeout_s=patience)

    def remove(self, container: str) -> None:
        self._json("DELETE", f"/containers/{container}", {"force": 1, "v": 1})

    def attach(self, container: str) -> Output:
        """Output from now on, until the container ends. Nothing of it is lost before the start."""
        query = {"stream": 1, "stdout": 1, "stderr": 1}
        return self._stream("POST", f"/containers/{container}/attach", query)

    def logs(self, container: str, since: float | None) -> Output:
        """Output that the engine has kept, from a time (Unix) on, and what comes until it ends."""
        query: dict[str, Any] = {"follow": 1, "stdout": 1, "stderr": 1}
        if since is not None:
            query["since"] = f"{since:.9f}"
        return self._stream("GET", f"/containers/{container}/logs", query)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> Any:
        connection = self._connection(timeout_s or self.timeout_s)
        try:
            response = _ask(connection, method, path, query, body)
            content = response.read()
            return json.loads(content) if content else None
        finally:
            connection.close()

    def _stream(self, method: str, path: str, query: Mapping[str, Any]) -> Output:
        connection = self._connection(self.timeout_s)
        try:
            response = _ask(connection, method, path, query)
        except BaseException:
            connection.close()
            raise
        # From here on it is the response that has the socket. A container may be silent for hours.
        connection.socket.settimeout(None)
        return Output(connection.socket, response)

    def _connection(self, timeout_s: float) -> _Connection:
        problem: OSError = FileNotFoundError("no engine is named")
        for url in self.urls:
            try:
                return _Connection(url, timeout_s, self.tls)
            except OSError as error:
                problem = error
        raise problem


class Output:
    """Output of a container as it comes, to be read once."""

    def __init__(self, way: socket.socket, response: http.client.HTTPResponse) -> None:
        self._way = way
        self._response = response

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return _frames(self._response)

    def cut(self) -> None:
        """End it, also from a signal handler that has interrupted who reads it.

        The engine takes long to stop a container whose output nobody takes.
        """
        with contextlib.suppress(OSError):
            self._way.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    """One connection, made at once."""

    def __init__(self, url: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        scheme, place, path, _, _ = urlsplit(url)
        super().__init__(place or "localhost", timeout=timeout_s)
        if scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            try:
                # Both unix:///path and unix://path are met with.
                self.socket.connect(f"/{place}{path}" if place else path)
            except BaseException:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection((self.host, self.port), timeout_s)
            # Its host may be gone without a word, while a silent container is waited for.
            for level, option, value in _KEEP_ALIVE:
                self.socket.setsockopt(level, option, value)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname=self.host)
        self.sock = self.socket


def _quoted(image: str) -> str:
    return quote(image, safe="/:@")


def _ask(
    connection: _Connection,
    method: str,
    path: str,
    query: Mapping[str, Any] | None,
    body: Any = None,
) -> http.client.HTTPResponse:
    target = f"{path}?{urlencode(query)}" if query else path
    headers = {"Host": "docker", "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, target, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    # 304: it runs, or has stopped, already.
    if response.status >= 300 and response.status != 304:
        content = response.read()
        try:
            message = str(json.loads(content)["message"])
        except (ValueError, LookupError, TypeError):
            message = content.decode(errors="replace") or response.reason
        raise (NoSuchThingError if response.status == 404 else EngineError)(
            response.status, message
        )
    return response


def _frames(response: http.client.HTTPResponse) -> Iterator[tuple[int, bytes]]:
    """Numbers of streams (1 stdout, 2 stderr) and pieces of them, out of one in which stdout and stderr take turns: four bytes that begin with the
    stream's number, four with the length of what follows.
    """
    pending = b""
    with response:
        while chunk := response.read1(_READ):
            pending += chunk
            begin = 0
            while (end := begin + _HEADER) <= len(pending):
                end += int.from_bytes(pending[begin + 4 : end], "big")
                if end > len(pending):
                    break
                yield pending[begin], pending[begin + _HEADER : end]
                begin = end
            pending = pending[begin:]
