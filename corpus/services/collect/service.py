"""Lists what is new in the sources, and cuts it into shards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from corpus import features
from corpus.contract.reports import CollectReport
from corpus.contract.requests import CollectRequest
from corpus.errors import BadInputError
from corpus.rows.dates import Dates
from corpus.rows.row import BadRow
from corpus.services.collect.both import both
from corpus.services.collect.left_out import lines, reasons, reject_rows
from corpus.services.collect.shards import cut
from corpus.services.context import Context
from corpus.settings import Settings
from corpus.sources.files import Files, FileStat, reason_of
from corpus.sources.listing import Patterns, SourceFile, Unreadable, is_manifest, list_files
from corpus.sources.location import encode
from corpus.sources.manifest import ManifestRow, read_manifest
from corpus.store.parts import ALL
from corpus.store.schemas import CANDIDATES, FEATURES_PREFIX
from corpus.store.snapshots import EmptySnapshot, Parent
from corpus.store.staging import Update

_SHARD_PART = re.compile(r"(?:.*-)?(shard-\d{4,})\.(?:parquet|json)")


def collect(request: CollectRequest, context: Context) -> CollectReport:
    """Stage `candidates`, one part a shard.

    Raises `BadInputError` if there is no such source, `NotFoundError` if there is no such feature set.
    """
    urls = request.sources or context.settings.sources.urls
    if not urls and not request.re_extract:
        raise BadInputError(
            "no source is named.", field="sources", hint="Set `sources.urls`, or give `--sources`."
        )
    _check_window(request.since, request.until)
    # Before anything is listed: `extract` would find out hours later.
    sets = request.feature_sets or context.settings.features.sets
    for name in sets:
        features.get(name)
    update = context.begin(request)
    files = Files.beside(context.store, context.places)
    context.keep_typed(update)
    listed: dict[tuple[str, str | None], SourceFile] = {}
    unreadable: list[Unreadable] = []
    left_out: dict[str, list[BadRow]] = {}
    repeated = 0
    known_rows: set[tuple[str, str | None]] = set()
    for url in urls:
        parent = EmptySnapshot(update.store) if request.rescan else update.parent
        for found in _list(url, files, context.settings, parent):
            context.progress.step("listed", len(listed))
            if isinstance(found, Unreadable):
                unreadable.append(found)
            elif isinstance(found, BadRow):
                left_out.setdefault(encode(url), []).append(found)
            elif isinstance(found, ManifestRow):
                known_rows.add((found.location, found.sha256))
            else:
                key = (found.location, found.expected_sha256)
                repeated += key in listed and bool(found.first_seen or found.tags or key[1])
                listed[key] = both(listed[key], found) if key in listed else found
    # A manifest says more of a file than the folder it lies in.
    named = {location for location, sha256 in (*listed, *known_rows) if sha256}
    every = [file for (name, sha256), file in listed.items() if sha256 or name not in named]
    wanted = [file for file in every if _in_window(file, request.since, request.until)]
    new = wanted if request.rescan else _unseen(wanted, update.parent)
    new.sort(key=lambda file: (file.location, file.expected_sha256 or ""))
    taken = new[: request.limit]
    rows = pa.concat_tables([_candidates(taken), _known(update.parent, sets, request)])
    for line in lines(left_out):
        context.progress.say(line)
    rejects = [_reject(file) for file in _unique(unreadable)] + reject_rows(left_out)
    shards = _stage(update, rows, rejects, cut(rows["size"].to_pylist(), context.settings.shards))
    report = CollectReport(
        update=update.id,
        shards=shards,
        candidates=len(taken),
        bytes=sum(file.stat.size for file in taken),
        known_samples=rows.num_rows - len(taken),
        already_seen=len(wanted) - len(new) + len(known_rows),
        outside_window=len(every) - len(wanted),
        over_limit=len(new) - len(taken),
        unreadable=len(unreadable),
        rejects=reasons(left_out),
        repeated=repeated,
    )
    update.write_report("collect", report.model_dump(mode="json"))
    return report


def _list(
    url: str, files: Files, settings: Settings, parent: Parent
) -> Iterator[SourceFile | Unreadable | ManifestRow | BadRow]:
    """List what a source has; a row of a manifest whose sample is known already is given as it is."""
    files.place(url)
    if not is_manifest(url):
        yield from list_files(
            url, files, Patterns(settings.sources.include, settings.sources.exclude)
        )
        return
    # All rows are checked before the first file is touched.
    dates, on_bad_row = Dates(settings.dates.first), settings.sources.on_bad_row
    read = list(read_manifest(url, files, dates, on_bad_row))
    yield from (row for row in read if isinstance(row, BadRow))
    rows = [row for row in read if isinstance(row, ManifestRow)]
    named = {row.sha256 for row in rows if row.sha256}
    known = set(parent.scan("samples", ["sha256"], keys=sorted(named))["sha256"].to_pylist())
    for row in rows:
        yield row if row.sha256 in known else _of_row(row, encode(url), files)


def _of_row(row: ManifestRow, url: str, files: Files) -> SourceFile | Unreadable:
    source = row.source or url
    try:
        found: FileStat = files.stat(row.location)
    except OSError as error:
        return Unreadable(row.location, source, f"row {row.row} of {url}: {reason_of(error)}")
    return SourceFile(row.location, found, source, row.sha256, row.first_seen, row.tags)


def _check_window(since: date | None, until: date | None) -> None:
    if since and until and since > until:
        raise BadInputError(
            f"the first day, {since}, is later than the last day, {until}, so no file can match.",
            field="since",
            hint="Swap them, or leave one out.",
        )
    # Somewhere on earth it may be tomorrow already.
    if since and since > datetime.now(UTC).date() + timedelta(days=1):
        raise BadInputError(
            f"the first day, {since}, is in the future, so no file can match.", field="since"
        )


def _in_window(file: SourceFile, since: date | None, until: date | None) -> bool:
    if since is None and until is None:
        return True
    when = file.first_seen or file.stat.modified
    if when is None:
        return False
    day = when.astimezone(UTC).date()
    return (since or day) <= day <= (until or day)


def _unseen(files: list[SourceFile], parent: Parent) -> list[SourceFile]:
    locations = [file.location for file in files]
    rows = parent.scan("seen_files", ["location", "fingerprint"], keys=locations)
    seen = set(zip(rows["location"].to_pylist(), rows["fingerprint"].to_pylist(), strict=True))
    return [file for file in files if (file.location, file.fingerprint) not in seen]


def _candidates(files: Iterable[SourceFile]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "location": file.location,
                "fingerprint": file.fingerprint,
                "size": file.stat.size,
                "expected_sha256": file.expected_sha256,
                "first_seen": file.first_seen,
                "source": file.source,
                "tags": list(file.tags),
            }
            for file in files
        ],
        schema=CANDIDATES.schema,
    )


def _known(parent: Parent, sets: Sequence[str], request: CollectRequest) -> pa.Table:
    """Known samples that lack a vector of one of the feature sets, as candidates."""
    if not request.re_extract:
        return CANDIDATES.schema.empty_table()
    for name in sets:
        features.get(name)
    from corpus.store.frames import published

    samples = published(parent, "samples", ["sha256", "size"])
    complete = samples
    for name in sets:
        vectors = published(parent, FEATURES_PREFIX + name, ["sha256"])
        complete = complete.join(vectors, on="sha256", how="semi")
    rows = samples.join(complete, on="sha256", how="anti").sort("sha256").to_arrow()
    columns = {"known_sha256": rows["sha256"], "size": rows["size"]}
    return pa.table(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.nulls(rows.num_rows, field.type)
            for field in CANDIDATES.schema
        ],
        schema=CANDIDATES.schema,
    )


def _stage(
    update: Update, rows: pa.Table, rejects: list[dict[str, Any]], shards: list[range]
) -> list[str]:
    names = [f"shard-{index:04d}" for index in range(len(shards))]
    _drop_stale(update, set(names))
    for name, span in zip(names, shards, strict=True):
        update.write(CANDIDATES.name, rows.slice(span.start, len(span)), name)
    if rejects:
        update.write("rejects", rejects, ALL)
    else:
        update.store.delete(f"{update.prefix}/rejects/{ALL}.parquet")
    return names


def _drop_stale(update: Update, names: set[str]) -> None:
    """Remove what a previous attempt staged for shards that no longer exist: candidates and results."""
    for key in update.store.list(update.prefix):
        part = _SHARD_PART.fullmatch(key.rsplit("/", 1)[-1])
        if part and part[1] not in names:
            update.store.delete(key)


def _unique(unreadable: list[Unreadable]) -> list[Unreadable]:
    return [found for _, found in sorted({file.location: file for file in unreadable}.items())]


def _reject(file: Unreadable) -> dict[str, Any]:
    return {
        "location": file.location,
        "source": file.source,
        "reason": "unreadable",
        "detail": file.detail,
        "files": 1,
    }
