"""Data cards in Airflow's web server: `/corpus/cards/<snapshot>/`, for those who may read assets.

Airflow does not guard the routes of plugins, so this one does; nothing in a card can run script.
"""

from __future__ import annotations

import re

from airflow.api_fastapi.core_api.security import requires_access_asset
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import Response

from corpus.errors import NotFoundError
from corpus.places.beneath import is_no_file, open_file
from corpus.settings import Settings
from corpus.store.object_store import Store

# A card shows text out of samples and file names. Its page gets no script, no form, no frame and no
# address but its own; `allow-same-origin` lets its pictures carry the reader's cookie.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-same-origin"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonld": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "css": "text/css; charset=utf-8",
}
# Of snapshots and of files of a card; what is longer no file system takes.
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


application = FastAPI(
    title="Corpus data cards",
    dependencies=[Depends(requires_access_asset("GET"))],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


@application.get("/cards/{snapshot}/")
@application.get("/cards/{snapshot}/{file}")
def card(snapshot: str, file: str = "index.html") -> Response:
    found = read_card(snapshot, file)
    if found is None:
        raise HTTPException(404, "There is no such data card.")
    content, media_type = found
    return Response(content, media_type=media_type, headers=HEADERS)


def read_card(snapshot: str, file: str) -> tuple[bytes, str] | None:
    """Bytes and media type of a file of a snapshot's card; None if there is none."""
    # One name each, so that no path leads out of a card.
    media_type = TYPES.get(file.rpartition(".")[2])
    if media_type is None or not _is_name(snapshot) or not _is_name(file):
        return None
    # Not by a service's context: the web server's image has no library that reads tables.
    settings = Settings.load().store
    store = Store(settings.root, settings.revealed())
    key = f"snapshots/{snapshot}/card/{file}"
    try:
        if not store.is_local:
            return store.read_bytes(key), media_type
        # A link would show viewers any file of this machine.
        with open_file(store.full("snapshots"), store.full(key)) as stream:
            return stream.read(), media_type
    except (NotFoundError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if is_no_file(error):
            return None
        raise


def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None
