"""`import-verdicts`: append verdicts from feeds: manifests, reports, and formats that the field exchanges.

Takes the files of the feeds that the parent has not seen as they are now; stages `verdicts` that the parent does not
have yet, and what was read as part `verdicts` of `seen_files`; rows that were left out, as part `verdicts` of `rejects`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.contract.reports import ImportVerdictsReport
from corpus.contract.requests import ImportVerdictsRequest
from corpus.errors import BadInputError, PassingFaultError
from corpus.rows.dates import Dates
from corpus.services.context import Context
from corpus.services.import_verdicts.feeds import VerdictFile, listed
from corpus.services.import_verdicts.folders import outcome_of
from corpus.services.import_verdicts.other_hashes import OtherHashes
from corpus.services.import_verdicts.tally import Tally
from corpus.sources.files import Files, reason_of
from corpus.sources.listing import SourceFile
from corpus.store.schemas import VERDICTS
from corpus.store.staging import Update
from corpus.verdicts.folder_names import FOLDERS
from corpus.verdicts.outcome import ByOtherHash, NoReport, Outcome
from corpus.verdicts.reader import VerdictReader
from corpus.verdicts.record import VALUES, Verdict

PART = "verdicts"
_BATCH = 50_000
# So many rows, all of them wrong, are the end of a file: it is not what it is taken for.
_HOPELESS = 100_000
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
    """Stage verdicts, seen files and rejects.

    Raises `BadInputError` if a file cannot be read as what it is, or if all its rows are wrong; then nothing is
    staged.
    """
    update = context.begin(request)
    settings = context.settings
    access = Files.beside(context.store, context.places)
    every = listed(request.urls, settings.verdicts.feeds, access)
    known = {} if request.rescan else _seen(every, update)
    files = [each for each in every if not _is_known(each, known, settings.dates.earliest)]
    new = {each.file.location for each in files}
    reader = VerdictReader(settings.verdicts, Dates(settings.dates.first))
    hashes = OtherHashes(update.parent)
    read = _Read()
    tallies = []
    for number, each in enumerate(files):
        tally = Tally(each)
        if each.feed.format == FOLDERS:
            batches: Iterable[list[Outcome]] = [[outcome_of(each, access, settings)]]
        else:
            batches = _batches(each, access, reader)
        for outcomes in batches:
            read.add(_sorted(outcomes, tally, hashes))
            if tally.all_wrong and tally.rows >= _HOPELESS:
                raise tally.refusal()
            context.progress.step(f"import-verdicts: file {number + 1} of {len(files)}", read.total)
        if tally.all_wrong and tally.rows > 1:
            raise tally.refusal()
        tallies.append(tally)
    _check_single(tallies, {each.file.source for each in every if each.file.location not in new})
    for tally in tallies:
        for line in tally.lines():
            context.progress.say(f"import-verdicts: {line}")
    verdicts = _new(read, update)
    _stage(update, verdicts, tallies, settings.dates.earliest)
    by_verdict = Counter(verdicts["verdict"].to_pylist())
    report = ImportVerdictsReport(
        update=update.id,
        files=len(files),
        already_seen=len(every) - len(files),
        verdicts=verdicts.num_rows,
        duplicates=read.total - verdicts.num_rows,
        samples=pc.count_distinct(verdicts["sha256"]).as_py(),
        by_verdict={value: by_verdict[value] for value in VALUES},
        rejects=dict(sorted(sum((tally.rejects for tally in tallies), Counter()).items())),
        no_report=sum(tally.no_report for tally in tallies),
        unknown_hashes=sum(tally.unknown_hashes for tally in tallies),
        without_verdict=sum(not tally.verdicts for tally in tallies),
    )
    update.write_report("import-verdicts", report.model_dump(mode="json"))
    return report


def _seen(every: list[VerdictFile], update: Update) -> dict[str, str]:
    """The fingerprints of files that the parent has seen, by the name under which they are marked."""
    seen = update.parent.scan(
        "seen_files", ["location", "fingerprint"], keys=[each.seen_location for each in every]
    )
    return dict(zip(seen["location"].to_pylist(), seen["fingerprint"].to_pylist(), strict=True))


def _is_known(each: VerdictFile, known: dict[str, str], earliest: str) -> bool:
    marks = {each.fingerprint(rejected, earliest) for rejected in (False, True)}
    return known.get(each.seen_location) in marks


def _sorted(outcomes: Iterable[Outcome], tally: Tally, hashes: OtherHashes) -> list[Verdict]:
    """The verdicts among what was read; what else it was is counted."""
    verdicts, named = [], []
    for outcome in outcomes:
        if isinstance(outcome, Verdict):
            verdicts.append(outcome)
        elif isinstance(outcome, ByOtherHash):
            named.append(outcome)
        elif isinstance(outcome, NoReport):
            tally.no_report += 1
        else:
            tally.reject(outcome)
    found = hashes.known(named) if named else []
    tally.unknown_hashes += len(named) - len(found)
    tally.verdicts += len(verdicts) + len(found)
    return verdicts + found


def _check_single(tallies: list[Tally], seen: set[str]) -> None:
    """Refuse files with one row, a report each, only if no file of the same source has, or had, a good one."""
    good = seen | {tally.source.file.source for tally in tallies if not tally.all_wrong}
    wrong = defaultdict(list)
    for tally in tallies:
        if tally.all_wrong:
            wrong[tally.source.file.source].append(tally)
    for source, some in wrong.items():
        if source not in good:
            raise some[0].refusal()


def _stage(update: Update, verdicts: pa.Table, tallies: list[Tally], earliest: str) -> None:
    if verdicts.num_rows or update.has(VERDICTS.name):
        update.write(VERDICTS.name, verdicts)
    seen = [
        {
            "location": tally.source.seen_location,
            "fingerprint": tally.source.fingerprint(bool(tally.rejects), earliest),
            "source": tally.source.file.source,
        }
        for tally in tallies
        if tally.is_done
    ]
    if seen or update.has("seen_files", PART):
        update.write("seen_files", seen, PART)
    rejects = _not_known([row for tally in tallies for row in tally.reject_rows()], update)
    if rejects or update.has("rejects", PART):
        update.write("rejects", rejects, PART)


def _not_known(rejects: list[dict[str, Any]], update: Update) -> list[dict[str, Any]]:
    """Those that the parent does not have: a file that gave no verdict is read again with every update."""
    if not rejects:
        return []
    columns = ["location", "reason", "detail"]
    locations = pa.chunked_array([pa.array(sorted({row["location"] for row in rejects}))])
    known = update.parent.scan_with("rejects", columns, "location", locations).to_pylist()
    return [row for row in rejects if {name: row[name] for name in columns} not in known]


def _batches(each: VerdictFile, access: Files, reader: VerdictReader) -> Iterator[list[Outcome]]:
    with _opened(each.file, access) as stream:
        outcomes = reader.read(stream, each.file.location, each.feed, each.voice)
        while batch := list(islice(outcomes, _BATCH)):
            yield batch


def _opened(file: SourceFile, access: Files) -> IO[bytes]:
    try:
        return access.open(file.location)
    except FileNotFoundError as error:
        raise PassingFaultError(
            f"{file.location} is gone since it was listed.", hint="A retry lists the files again."
        ) from error
    except OSError as error:
        raise BadInputError(f"cannot be read: {reason_of(error)}.", file=file.location) from error


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
