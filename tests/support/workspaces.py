"""Services run in workspaces, for tests: staged in, worked on, staged out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.contract.base import Report
from corpus.contract.progress import Progress
from corpus.contract.registry import SERVICES
from corpus.isolation.stage_in import StageInReport, stage_in
from corpus.isolation.stage_out import stage_out
from corpus.services.context import Context
from corpus.services.dispatch import run_service
from corpus.settings import Settings, StoreSettings
from corpus.store.object_store import Store


def quiet(settings: Settings, store: Store) -> Context:
    return Context(settings, store, Progress(write=lambda line: None))


def request(service: str, update: str = "u", **options: Any) -> Any:
    return SERVICES[service].request(update=update, **options)


def staged_in(
    made: Context, service: str, folder: Path, update: str = "u", **options: Any
) -> StageInReport:
    return stage_in(request(service, update, **options), made, folder)


def worked(made: Context, service: str, folder: Path, update: str = "u", **options: Any) -> Report:
    """The service in the workspace, as a sandbox runs it: with settings of its own and nothing else."""
    settings = made.settings.model_copy(update={"store": StoreSettings(root=str(folder))})
    inside = replace(Context.from_settings(settings, made.run), progress=made.progress)
    return run_service(request(service, update, **options), inside)


def staged_out(
    made: Context, service: str, folder: Path, update: str = "u", **options: Any
) -> Report:
    return stage_out(request(service, update, **options), made, folder)


def through_workspace(
    made: Context, service: str, folder: Path, update: str = "u", **options: Any
) -> Report:
    """All three steps, in a folder of their own for each shard that is named, as tasks do."""
    staged_in(made, service, folder, update, **options)
    worked(made, service, folder, update, **options)
    return staged_out(made, service, folder, update, **options)


def staged(store: Store, update: str = "u") -> dict[str, bytes]:
    """All that an update has staged, but when it began."""
    keys = store.list(f"staging/{update}")
    return {key: store.read_bytes(key) for key in keys if not key.endswith("/update.json")}


def blobs_of(store: Store) -> dict[str, bytes]:
    return {key: store.read_bytes(key) for key in store.list("blobs")}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Killed(BaseException):
    """Not to be caught by anything."""


def die_after(writes: int, patch: pytest.MonkeyPatch) -> None:
    """Have this process killed, as it were, at the next write to a folder's store after so many."""
    write, left = Store._write_local, iter(range(writes))

    def dying(store: Store, key: str, data: bytes, *, replace: bool) -> bool:
        if next(left, None) is None:
            raise Killed
        return write(store, key, data, replace=replace)

    patch.setattr(Store, "_write_local", dying)
