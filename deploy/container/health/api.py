"""Is Airflow's API where this container looks for it? A wrong address is named, instead of tasks that all fail."""

from __future__ import annotations

import json
import os
import ssl
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
    getproxies,
    proxy_bypass,
)

from deploy.container.health.configuration import setting
from deploy.container.health.errors import HealthError, UnreachableError

_SECONDS = 5.0
_TASKS = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
_REAPERS = "CORPUS_REAPER__API_URL"
_SERVER_ERROR = 500


class _NoRedirects(HTTPRedirectHandler):
    # Neither tasks nor the reaper follow one.
    def redirect_request(self, *arguments: Any) -> None:
        return None


def check_execution_api() -> None:
    """Ask the API that tasks report to, by the way that they take, a proxy's included.

    Raises `HealthError` if it is not at the address of `[core] execution_api_server_url`, and `UnreachableError`
    if nothing answers there just now.
    """
    url = setting("core", "execution_api_server_url", "")
    if not url:
        url = f"{setting('api', 'base_url', 'http://localhost:8080').rstrip('/')}/execution/"
    parts = urlsplit(url)
    # An address of IPv6 has brackets in a URL, and none in no_proxy.
    direct = proxy_bypass(parts.netloc) or proxy_bypass(parts.hostname or "")
    proxies = {} if direct else getproxies()
    answer = _ask(f"{url.rstrip('/')}/health", _TASKS, proxies)
    if answer.get("status") != "healthy":
        raise HealthError(f"Airflow's execution API is not at {url}: see {_TASKS}")


def check_public_api() -> None:
    """Ask the API that the reaper asks, as it does: never by a proxy. Raises as `check_execution_api`."""
    url = os.environ.get(_REAPERS, "http://127.0.0.1:8080").rstrip("/")
    if "version" not in _ask(f"{url}/api/v2/version", _REAPERS, {}):
        raise HealthError(f"Airflow's API is not at {url}: see {_REAPERS}")


def _ask(url: str, name: str, proxies: dict[str, str]) -> dict[str, Any]:
    """The object that is answered; an empty one for an answer that is not Airflow's."""
    scheme = urlsplit(url).scheme
    # Without the name and the password that a proxy's address may have.
    proxy = urlsplit(proxies.get(scheme, "")).netloc.rpartition("@")[2]
    way = f"{url} by the proxy {proxy}" if proxy else url
    try:
        with _opener(scheme, proxies).open(Request(url), timeout=_SECONDS) as answer:  # noqa: S310
            content = json.loads(answer.read())
    except HTTPError as error:
        if error.code >= _SERVER_ERROR:
            raise UnreachableError(f"the API answers {error.code}: {way}") from None
        raise HealthError(f"the API answers {error.code}: {way}; see {name}") from None
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise UnreachableError(f"the API does not answer: {way}: {reason}; see {name}") from None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _opener(scheme: str, proxies: dict[str, str]) -> OpenerDirector:
    handlers: list[BaseHandler] = [ProxyHandler(proxies), _NoRedirects()]
    if scheme == "https":
        handlers.append(HTTPSHandler(context=_context()))
    return build_opener(*handlers)


def _context() -> ssl.SSLContext:
    """What Airflow's own client believes."""
    context = ssl.create_default_context(cafile=setting("api", "ssl_ca_file", "") or None)
    if certificate := setting("api", "ssl_cert", ""):
        context.load_verify_locations(certificate)
    return context
