"""The corpus's part of Airflow's web server, loaded at the first request.

Every process of Airflow loads the plugins; only the web server needs FastAPI and the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application."""
    from operators.ui.cards import application

    await application(scope, receive, send)
