"""Ways to the engine: one that can be cut, as a restart of the engine cuts it, and one by TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

ENGINE = "/var/run/docker.sock"


class FlakySocket:
    """Passes on what comes through a socket of its own; `cut` closes it and all that is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None

    def up(self) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen()
        threading.Thread(target=self._serve, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        assert self._server is not None
        os.unlink(self.path)
        for end in (self._server, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(ENGINE)
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def flaky(path: Path) -> Iterator[FlakySocket]:
    way = FlakySocket(path)
    way.up()
    try:
        yield way
    finally:
        with contextlib.suppress(OSError):
            way.cut()


@contextlib.contextmanager
def by_tls(context: ssl.SSLContext) -> Iterator[int]:
    """The engine behind TLS, on a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    raw, _ = server.accept()
                except OSError:
                    return
                # Who has no certificate does not get in.
                with contextlib.suppress(ssl.SSLError):
                    near = context.wrap_socket(raw, server_side=True)
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(ENGINE)
                    for source, target in ((near, far), (far, near)):
                        threading.Thread(
                            target=_pass_on, args=(source, target), daemon=True
                        ).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
