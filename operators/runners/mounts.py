"""What containers of a service see of the host: which folders are mounted, and if a network is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from corpus.contract.registry import Service
from corpus.errors import BadInputError
from corpus.places.place import parse
from corpus.places.places import Places
from corpus.settings import OF_WORKERS, Settings
from corpus.settings.overrides import nest, parse_override
from operators.containers.spec import Bind
from operators.runners.command import Call
from operators.task_log import one_line

# Who runs the cluster sets these, and not who triggers a run: they would choose what a container may
# see, or show a secret in a command line.
_NOT_FOR_RUNS = (*sorted(OF_WORKERS), "places", "store.options", "sources.archive_passwords")
_MANIFESTS = (".csv", ".jsonl", ".json", ".parquet")


class Mounts:
    """The folders that one call of a service needs, and which of them containers see.

    :param configured: the corpus's settings on this worker; their folders, and those of `more`, are
        what containers see.
    :param more: more folders, writable (`docker.binds`).
    :param call: may name another root and other sources, within those folders.
    """

    def __init__(
        self, configured: Settings, more: Sequence[str], service: Service, call: Call
    ) -> None:
        self.configured = configured
        self.more = more
        self.service = service
        allowed = configured.places.model_copy(update={"roots": [*configured.places.roots, *more]})
        self.settings = _overridden(configured, call).model_copy(update={"places": allowed})
        self.root = call.root or self.settings.store.root
        # What the call gives stands instead of the settings.
        self._read = _given(call) or _read(self.settings, service)

    def binds(self) -> list[Bind]:
        """What a trusted container sees: the corpus, writable, what the service reads, and the folders
        of `docker.binds`. Raises `BadInputError` for a place of the call that is in none of them, and for
        a remote one that the worker's settings do not allow.
        """
        writable = _local((self.configured.store.root, *self.more))
        named = _local(_read(self.configured, self.service))
        added = _local(self.configured.places.roots) if self.service.reads else []
        read = [*map(_folder, named), *added]
        allowed = Places.of(self.configured)
        for place in (self.root, *self._read):
            path = local(place)
            if path is None and place != self.root:
                _check(place, allowed)
            visible = writable if place == self.root else [*writable, *read]
            if path and not any(PurePath(path).is_relative_to(folder) for folder in visible):
                raise BadInputError(
                    f"{place} is not a folder that containers see.",
                    hint=f"They see {', '.join(visible) or 'none'}; the setting docker.binds adds others.",
                )
        binds = {folder: Bind(folder, folder) for folder in read}
        # What is below another writable folder is seen with that one, and need not be there yet.
        for folder in writable:
            if not any(_below(folder, other) for other in writable):
                binds[folder] = Bind(folder, folder, writable=True)
        # A folder before what is below it, which would be hidden otherwise.
        return [binds[folder] for folder in sorted(binds)]

    @property
    def remote(self) -> bool:
        """Whether the service needs a network to reach them.

        An update's own sources may be others than the settings', and only `collect` is told of them.
        """
        unknown = self.service.name == "ingest"
        return unknown or self.remote_root or any(local(place) is None for place in self._read)

    @property
    def remote_root(self) -> bool:
        return local(self.root) is None


def local(place: str) -> str | None:
    """The absolute path of a place on this host, None for one that is elsewhere. Raises `BadInputError`."""
    try:
        found = parse(place)
    except BadInputError as error:
        raise BadInputError(error.problem, file=one_line(place[:200]), hint=error.hint) from None
    return found.path if found.is_local else None


def _check(place: str, allowed: Places) -> None:
    try:
        allowed.place(place)
    except BadInputError as error:
        raise BadInputError(error.problem, file=one_line(place[:200]), hint=error.hint) from None


def _given(call: Call) -> list[str]:
    given = call.options.get("sources") or call.options.get("urls")
    return list(given) if isinstance(given, list | tuple) else []


def _local(places: Iterable[str]) -> list[str]:
    return [path for place in places if (path := local(place))]


def _below(path: str, folder: str) -> bool:
    return path != folder and PurePath(path).is_relative_to(folder)


def _read(settings: Settings, service: Service) -> list[str]:
    """What a service reads beside the store, as the settings have it."""
    feeds = [feed.place for feed in settings.verdicts.feeds]
    places = {"sources": settings.sources.urls, "verdicts": feeds}
    return places[service.reads] if service.reads else []


def _folder(path: str) -> str:
    """What to mount of a place: of a manifest its folder, in which the files that it names are."""
    return str(PurePath(path).parent) if PurePath(path).suffix in _MANIFESTS else path


def _overridden(configured: Settings, call: Call) -> Settings:
    overrides: dict[str, object] = {}
    for name, value in call.overrides.items():
        path, parsed = parse_override(f"{name}={value}")
        for inner in _names(".".join(path), parsed):
            if any(inner == taken or inner.startswith(f"{taken}.") for taken in _NOT_FOR_RUNS):
                raise BadInputError(
                    "a run may not override this setting where services run in containers.",
                    field=inner,
                    hint="It belongs in the settings of the worker, a secret in docker.secrets.",
                )
        nest(overrides, path, parsed)
    return Settings.load(overrides) if overrides else configured


def _names(name: str, value: object) -> Iterator[str]:
    """Names of a setting and of all within it, as where a whole section is given."""
    yield name
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _names(f"{name}.{key}", inner)
