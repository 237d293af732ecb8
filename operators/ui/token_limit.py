"""Guessing passwords at `/auth/token` is limited as it is at the form of the login page.

Flask-AppBuilder limits its form (`[fab] auth_rate_limit`), and not the API's way to a token beside it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from operators.ui.web import App, Receive, Scope, Send

# What hands out a token for a name and a password, whichever auth manager there is.
PATHS = ("/auth/token", "/auth/token/cli")


class TokenLimit:
    """Refuses an address that gave so many wrong passwords, by status 429, until the time of the limit has passed.

    Only what fails counts, so a script may fetch as many tokens as it likes. An attempt that is under way counts until
    it has succeeded: many at once are no way around. Each process of the API server counts by itself, as for the form.
    """

    def __init__(self, app: App) -> None:
        from airflow.configuration import conf
        from limits import parse
        from limits.storage import MemoryStorage

        self._app = app
        self._enabled = conf.getboolean("fab", "auth_rate_limited", fallback=True)
        self._limit = parse(conf.get("fab", "auth_rate_limit", fallback="5 per 40 second"))
        self._counts = MemoryStorage()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (self._enabled and _asks_for_a_token(scope)):
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        key = self._limit.key_for(address)
        if self._counts.incr(key, self._limit.get_expiry()) > self._limit.amount:
            await _refuse(send, max(1, round(self._counts.get_expiry(key) - time.time())))
            return

        async def watch(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self._counts.decr(key)
            await send(message)

        await self._app(scope, receive, watch)


def _asks_for_a_token(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in PATHS


async def _refuse(send: Send, wait_s: int) -> None:
    detail = f"Too many wrong passwords from this address. Try again in {wait_s} s."
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(wait_s).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
