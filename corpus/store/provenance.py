"""Which container images the services of an update ran in: told by `CORPUS_RUN`, kept for the manifest.

Whoever starts a container knows its image, the container does not. So the identity of the run may hold

    "image"          {"name": ..., "digest": "sha256:..."} of the container itself
    "sandbox_image"  the same of the container whose work `corpus workspace stage-out` brings in

and each service leaves what it was told among the reports of its update, one record an image. A run in
no container says nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

# Before Python 3.12 pydantic checks only TypedDicts of this module.
from typing_extensions import TypedDict

from corpus.contract import run_identity
from corpus.contract.run_identity import RunIdentity
from corpus.errors import BadSettingError
from corpus.store.object_store import to_json

if TYPE_CHECKING:
    from corpus.store.staging import Update

KEYS: tuple[Literal["image"], Literal["sandbox_image"]] = ("image", "sandbox_image")
# How the records' names begin; no service is called so.
REPORT = "image"


class Image(BaseModel):
    """One image, by the digest that its engine knows it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[!-~]+$")]
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Staged(TypedDict):
    """An image as it is left with an update."""

    service: str
    name: str
    digest: str


_STAGED = TypeAdapter(_Staged)


def identity(run: RunIdentity) -> RunIdentity:
    """Who asks for the work, without what it runs in."""
    who = {name: value for name, value in run.items() if name not in KEYS}
    return cast(RunIdentity, who)


def record(update: Update, service: str, run: RunIdentity) -> None:
    """Leave the images that `run` tells of with the update. Raises `BadSettingError` if that is wrong."""
    for key in KEYS:
        if (told := run.get(key)) is None:
            continue
        try:
            image = Image.model_validate(told)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(["CORPUS_RUN", key, *map(str, first["loc"])])
            raise BadSettingError(f"{first['msg']}.", field=field) from error
        content = to_json({"service": service, **image.model_dump()})
        # Named by its content, so that tasks of one service, and its tries, do not get in each other's way.
        part = f"{service}-{hashlib.sha256(content).hexdigest()[:16]}"
        update.store.create_bytes(f"{update.prefix}/reports/{REPORT}-{part}.json", content)


def of(update: Update) -> dict[str, list[run_identity.Image]]:
    """The distinct images that each service of an update ran in, as the manifest has them."""
    images: dict[str, set[tuple[str, str]]] = {}
    for entry in update.reports(REPORT, _STAGED):
        images.setdefault(entry["service"], set()).add((entry["name"], entry["digest"]))
    return {
        service: [{"name": name, "digest": digest} for name, digest in sorted(found)]
        for service, found in sorted(images.items())
    }
