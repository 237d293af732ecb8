"""As much of a Redis client as the check needs; importing redis-py would cost half a second a check."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from deploy.container.health.errors import HealthError, RedisError, UnreachableError

SECONDS = 5.0


class Redis:
    """One connection to a `redis://` or `rediss://` address. Raises `UnreachableError`, and `HealthError` for others."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss"):
            raise HealthError(f"the check of a worker knows Redis, but not a {parts.scheme} broker")
        self.host, self.port = parts.hostname or "localhost", parts.port or 6379
        try:
            self._socket = socket.create_connection((self.host, self.port), SECONDS)
            if parts.scheme == "rediss":
                self._socket = _encrypted(self._socket, self.host, parse_qs(parts.query))
            self._stream = self._socket.makefile("rb")
            if parts.password:
                name = [unquote(parts.username)] if parts.username else []
                self.command("AUTH", *name, unquote(parts.password))
            if database := parts.path.strip("/"):
                self.command("SELECT", database)
            self.command("PING")
        except (OSError, RedisError) as error:
            raise UnreachableError(f"Redis at {self.host}:{self.port}: {error}") from None

    def command(self, *words: str) -> Any:
        """The reply: text, a number, a list or None. Raises `RedisError`, and `OSError`."""
        encoded = [word.encode() for word in words]
        message = b"*%d\r\n" % len(encoded)
        message += b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        self._socket.sendall(message)
        return self._reply()

    def clients(self) -> list[dict[str, str]]:
        """Those connected to Redis, with the fields of CLIENT LIST. Raises `RedisError` if it is not allowed."""
        lines = str(self.command("CLIENT", "LIST")).splitlines()
        return [dict(field.partition("=")[::2] for field in line.split()) for line in lines]

    def __enter__(self) -> Redis:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _reply(self) -> Any:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed the connection")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self._stream.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if rest == "-1" else [self._reply() for _ in range(int(rest))]
        return rest


def _encrypted(plain: socket.socket, host: str, query: dict[str, list[str]]) -> ssl.SSLSocket:
    # The names that Celery takes in the same address.
    context = ssl.create_default_context(cafile=query.get("ssl_ca_certs", [None])[0])
    if query.get("ssl_cert_reqs", [""])[0].lower() in ("none", "cert_none"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
