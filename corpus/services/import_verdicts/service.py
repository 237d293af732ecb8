"""`import-verdicts`: append verdicts from manifests and VirusTotal reports.

Takes the files of the verdict URLs that the parent has not seen as they are now; stages `verdicts` that
the parent does not have yet, and what was read as part `verdicts` of `seen_files`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from corpus.contract.reports import ImportVerdictsReport
from corpus.contract.requests import ImportVerdictsRequest
from corpus.errors import BadInputError, PassingFaultError
from corpus.rows.dates import Dates
from corpus.services.context import Context
from corpus.sources.files import Files
from corpus.sources.listing import Patterns, SourceFile, Unreadable, list_files
from corpus.sources.location import encode
from corpus.store.schemas import VERDICTS
from corpus.store.staging import Update
from corpus.verdicts.reader import VerdictReader
from corpus.verdicts.record import VALUES, Verdict

PART = "verdicts"
_BATCH = 50_000
_COLUMNS = [name for name in Verdict._fields if name != "sequence"]


@dataclass
class _Read:
    """Rows as they are read: each verdict once, the first time that it is met."""

    total: int = 0
    ids: set[str] = field(default_factory=set)
    tables: list[pa.Table] = field(default_factory=list)

    def add(self, batch: Sequence[Verdict]) -> None:
        new = []
        for verdict in batch:
            if verdict.verdict_id not in self.ids:
                self.ids.add(verdict.verdict_id)
                new.append(verdict)
        self.total += len(batch)
        self.tables.append(_table(new))


def import_verdicts(request: ImportVerdictsRequest, context: Context) -> ImportVerdictsReport:
    """Stage verdicts and seen files. Raises `BadInputError` if one file is wrong; then nothing is staged."""
    update = context.begin(request)
    access = Files.beside(context.store)
    listed = _listed(request.urls or context.settings.verdicts.urls, access)
    files = listed if request.rescan else _unseen(listed, update)
    reader = VerdictReader(context.settings.verdicts, Dates(context.settings.dates.first))
    read = _Read()
    for number, file in enumerate(files):
        for batch in _batches(file, access, reader):
            read.add(batch)
            context.progress.step(f"import-verdicts: file {number + 1} of {len(files)}", read.total)
    verdicts = _new(read, update)
    if verdicts.num_rows or update.has(VERDICTS.name):
        update.write(VERDICTS.name, verdicts)
    if files or update.has("seen_files", PART):
        update.write("seen_files", [_seen_file(file) for file in files], PART)
    by_verdict = Counter(verdicts["verdict"].to_pylist())
    report = ImportVerdictsReport(
        update=update.id,
        files=len(files),
        already_seen=len(listed) - len(files),
        verdicts=verdicts.num_rows,
        duplicates=read.total - verdicts.num_rows,
        samples=pc.count_distinct(verdicts["sha256"]).as_py(),
        by_verdict={value: by_verdict[value] for value in VALUES},
    )
    update.write_report("import-verdicts", report.model_dump(mode="json"))
    return report


def _listed(urls: Sequence[str], access: Files) -> list[SourceFile]:
    """The files of all URLs, each once, by location; hidden ones below a folder are left out."""
    found: dict[str, SourceFile] = {}
    for url in urls:
        try:
            # `url` itself is not matched against the patterns.
            for file in list_files(url, access, Patterns(exclude=(".*",))):
                if isinstance(file, Unreadable):
                    raise BadInputError(f"cannot be read: {file.detail}.", file=file.location)
                found.setdefault(file.location, file)
        except BadInputError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise BadInputError(
                "there is no such verdict file or folder.",
                file=encode(url),
                hint="Check `verdicts.urls`: `corpus config` prints it.",
            ) from error
    return [found[location] for location in sorted(found)]


def _unseen(listed: list[SourceFile], update: Update) -> list[SourceFile]:
    seen = update.parent.scan(
        "seen_files", ["location", "fingerprint"], keys=[_seen_location(file) for file in listed]
    )
    known = dict(zip(seen["location"].to_pylist(), seen["fingerprint"].to_pylist(), strict=True))
    return [file for file in listed if known.get(_seen_location(file)) != file.fingerprint]


def _seen_location(file: SourceFile) -> str:
    # A verdict file may lie in a folder of samples: that `collect` has seen it there is not enough.
    return f"verdicts:{file.location}"


def _batches(file: SourceFile, access: Files, reader: VerdictReader) -> Iterator[list[Verdict]]:
    with _opened(file, access) as stream:
        verdicts = reader.read(stream, file.location)
        while batch := list(islice(verdicts, _BATCH)):
            yield batch


def _opened(file: SourceFile, access: Files) -> IO[bytes]:
    try:
        return access.open(file.location)
    except FileNotFoundError as error:
        raise PassingFaultError(
            f"{file.location} is gone since it was listed.", hint="A retry lists the files again."
        ) from error
    except OSError as error:
        raise BadInputError(
            f"cannot be read: {error.strerror or error}.", file=file.location
        ) from error


def _new(read: _Read, update: Update) -> pa.Table:
    """The verdicts that the parent does not have."""
    rows = pa.concat_tables([_table([]), *read.tables])
    known = update.parent.scan(VERDICTS.name, ["verdict_id"], keys=rows["verdict_id"])["verdict_id"]
    return rows.filter(pc.invert(pc.is_in(rows["verdict_id"], value_set=known.combine_chunks())))


def _table(verdicts: Sequence[Verdict]) -> pa.Table:
    columns = list(zip(*verdicts, strict=True)) or [()] * len(Verdict._fields)
    by_name = dict(zip(Verdict._fields, columns, strict=True))
    return pa.table(
        {name: pa.array(by_name[name], VERDICTS.schema.field(name).type) for name in _COLUMNS}
    )


def _seen_file(file: SourceFile) -> dict[str, str]:
    return {
        "location": _seen_location(file),
        "fingerprint": file.fingerprint,
        "source": file.source,
    }
