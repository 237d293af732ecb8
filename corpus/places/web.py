"""Web servers, read such that neither a name nor a redirect leads to a place that is not allowed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from fsspec.implementations.http import HTTPFileSystem

from corpus.errors import BadInputError

# Seconds without a byte after which a server counts as gone.
_SILENCE_S = 60


def filesystem(
    check: Callable[[str], object], allows: Callable[[str], bool], options: Mapping[str, Any]
) -> HTTPFileSystem:
    """Return the file system of web servers; it raises `BadInputError` for an address or a redirect
    that is not allowed. A name is looked up once, and what was checked is what is connected to.

    :param check: raises what is wrong with the URL that a redirect leads to.
    :param allows: says whether a host may have an address.
    """

    async def client(**kwargs: Any) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_redirected(check))
        connector = aiohttp.TCPConnector(resolver=_Resolver(allows))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S)
        kwargs.pop("loop", None)
        return aiohttp.ClientSession(
            connector=connector, trace_configs=[trace], timeout=timeout, **kwargs
        )

    return HTTPFileSystem(get_client=client, skip_instance_cache=True, **options)


class _Resolver(AbstractResolver):
    """Looks names up, and refuses those that lead to an address that is not allowed."""

    def __init__(self, allows: Callable[[str], bool]) -> None:
        self._allows = allows
        self._names = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for address in found:
            if not self._allows(address["host"]):
                raise BadInputError(
                    "this host has an address that is not of the public internet.",
                    hint="If that is right, list the address or its network in `places.hosts`.",
                )
        return found

    async def close(self) -> None:
        await self._names.close()


def _redirected(check: Callable[[str], object]) -> Any:
    async def redirected(_: Any, __: Any, answer: aiohttp.TraceRequestRedirectParams) -> None:
        headers = answer.response.headers
        target = headers.get("Location") or headers.get("URI") or ""
        try:
            url = str(answer.url.join(yarl.URL(target)))
        except ValueError as error:
            raise BadInputError("a web server redirects to what is not a URL.") from error
        check(url)

    return redirected
