"""Images that earlier releases of the cluster have left on this host."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from operators.containers.client import Client
from operators.containers.engine import Engine
from operators.errors import EngineError, NoSuchThingError
from operators.reaper.report import Report
from operators.settings import WorkerSettings

TITLE = "org.opencontainers.image.title"
NAMES = frozenset(
    ("corpus-airflow", "corpus-services", "corpus-extractor", "corpus-redis", "corpus-postgres")
)


@dataclass(frozen=True)
class Image:
    """An image of ours: its label, and all names that the engine has for it.

    :param since: when it was built or was last given a name here, whichever is later.
    """

    id: str
    title: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    since: datetime

    @property
    def is_ours(self) -> bool:
        """Whether all its names are ours too: a label is inherited by what others build on it."""
        return self.title in NAMES and all(
            _repository(name).rpartition("/")[2] == self.title for name in self.tags + self.digests
        )


def superfluous(
    images: Iterable[Image], used: Collection[str], configured: Collection[str], kept: int
) -> list[Image]:
    """Images of ours but the newest `kept` of each name, those that containers use, by id, and those
    that settings name.
    """
    by_title: defaultdict[str, list[Image]] = defaultdict(list)
    for image in images:
        if image.is_ours:
            by_title[image.title].append(image)
    return [
        image
        for group in by_title.values()
        for image in sorted(group, key=lambda image: (image.since, image.id), reverse=True)[kept:]
        if image.id not in used and not any(_means(name, image) for name in configured)
    ]


class OldImages:
    """Removes images that nothing uses any more, by the settings of the reaper."""

    def __init__(
        self, settings: WorkerSettings, engine: Engine, report: Report, dry_run: bool
    ) -> None:
        self.engine = engine
        self.report = report
        self.dry_run = dry_run
        self.kept = settings.reaper.images_kept
        self.days = settings.reaper.images_days
        self.configured = (settings.docker.services_image, settings.docker.extractor_image)

    def remove(self) -> int:
        """How many were removed. Raises `PassingFaultError` if the engine does not answer."""
        if not self.days:
            return 0
        before = datetime.now(UTC) - timedelta(days=self.days)
        used = {
            str(entry["ImageID"])
            for entry in self.engine.look(lambda client: client.containers([]))
        }
        listed = self.engine.look(lambda client: client.images([TITLE]))
        ours = [str(entry["Id"]) for entry in listed if entry["Labels"].get(TITLE) in NAMES]
        images = [image for each in ours if (image := self._inspect(each))]
        old = [
            image
            for image in superfluous(images, used, self.configured, self.kept)
            if image.since < before
        ]
        return sum(self._remove(image) for image in old)

    def _inspect(self, image_id: str) -> Image | None:
        try:
            return _image(self.engine.once(lambda client: client.image(image_id)))
        except NoSuchThingError:
            return None
        except EngineError as error:
            # An image that is damaged keeps none of the others.
            self.report.once(image_id, f"Kept image {image_id}: {error.message}")
            return None

    def _remove(self, image: Image) -> bool:
        if not self.dry_run:
            try:
                # By each of its names, without force: the engine refuses what came into use meanwhile.
                for name in image.tags or (image.id,):
                    self.engine.once(functools.partial(Client.remove_image, name=name))
            except NoSuchThingError:
                return False
            except EngineError as error:
                self.report.once(image.id, f"Kept image {_label(image)}: {error.message}")
                return False
        self.report.removed(
            "image", _label(image), f"nothing has used it, and it is older than {self.days} days"
        )
        return True


def _image(entry: dict[str, Any]) -> Image:
    labels = entry.get("Config", {}).get("Labels") or {}
    # One that was pulled was never given a name here: the engine has the year 1 then.
    named = (entry.get("Metadata") or {}).get("LastTagTime") or entry["Created"]
    return Image(
        str(entry["Id"]),
        str(labels.get(TITLE, "")),
        tuple(entry.get("RepoTags") or ()),
        tuple(entry.get("RepoDigests") or ()),
        max(_time(str(entry["Created"])), _time(str(named))),
    )


def _time(text: str) -> datetime:
    """A time of the engine, cut to the second: it has nanoseconds, and an offset where it was tagged."""
    try:
        zone = "+00:00" if text.endswith("Z") else text[-6:]
        return datetime.fromisoformat(text[:19] + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _repository(name: str) -> str:
    """`host:5000/team/image` of `host:5000/team/image:tag` and of `...image@sha256:...`."""
    folder, slash, last = name.partition("@")[0].rpartition("/")
    return folder + slash + last.partition(":")[0]


def _means(name: str, image: Image) -> bool:
    """Whether a name as settings have it is the image's."""
    # An id may be cut, and have its algorithm or not.
    ids = (image.id, image.id.removeprefix("sha256:"))
    if name in image.digests or any(each.startswith(name) for each in ids):
        return True
    return (name if ":" in name.rpartition("/")[2] else f"{name}:latest") in image.tags


def _label(image: Image) -> str:
    return ", ".join(image.tags) or f"{image.title} {image.id.removeprefix('sha256:')[:12]}"
