"""What one verdict file came to: verdicts, records without a report, and rows that were left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from corpus.errors import BadInputError
from corpus.rows.row import NAMED, BadRow, numbers
from corpus.services.import_verdicts.feeds import VerdictFile


@dataclass
class Tally:
    """Counts of one file, with the first rows of each reason."""

    source: VerdictFile
    verdicts: int = 0
    no_report: int = 0
    unknown_hashes: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[BadRow]] = field(default_factory=dict)

    def reject(self, row: BadRow) -> None:
        """Count a row that is left out. Raises `BadInputError` if the feed is strict."""
        if self.source.feed.on_bad_row == "refuse":
            raise row.error(self.source.file.location)
        self.rejects[row.reason] += 1
        named = self.named.setdefault(row.reason, [])
        if len(named) < NAMED:
            named.append(row)

    @property
    def all_wrong(self) -> bool:
        return bool(self.rejects) and not (self.verdicts or self.no_report or self.unknown_hashes)

    @property
    def rows(self) -> int:
        return self.verdicts + self.no_report + self.unknown_hashes + self.rejects.total()

    @property
    def is_done(self) -> bool:
        """Whether it need not be read again: it gave a verdict, and has none for a sample that may come yet."""
        return bool(self.verdicts) and not self.unknown_hashes

    def refusal(self) -> BadInputError:
        """The error for a file of which all rows are wrong."""
        first = min((rows[0] for rows in self.named.values()), key=lambda row: row.number)
        error = first.error(self.source.file.location)
        if self.rows > 1:
            error.hint = f"All {self.rows} rows that were read are wrong; this is the first."
        return error

    def lines(self) -> list[str]:
        """What a log says of it; nothing if all is well."""
        name = self.source.file.location
        lines = []
        if self.rejects:
            told = ", ".join(
                f"{reason} {count} ({numbers(self.named[reason], count)})"
                for reason, count in sorted(self.rejects.items())
            )
            left_out = f"{self.rejects.total()} of {self.rows} rows are left out: {told}"
            lines.append(f"warning: {name}: {left_out}")
        if self.unknown_hashes:
            lines.append(
                f"{name}: {self.unknown_hashes} rows name samples by md5 or sha1 that the corpus "
                "does not have; they are looked up again with the next update"
            )
        elif not self.verdicts:
            lines.append(
                f"warning: {name}: gives no verdict ({self.no_report} records without a report); "
                "it is not marked as seen, and will be read again"
            )
        return lines

    def reject_rows(self) -> list[dict[str, Any]]:
        """Rows of the table `rejects`: one for each reason."""
        file = self.source.file
        return [
            {
                "location": file.location,
                "source": file.source,
                "reason": f"verdict_{reason}",
                "detail": f"{numbers(self.named[reason], count)}; {self.named[reason][0]}",
                "files": count,
            }
            for reason, count in sorted(self.rejects.items())
        ]
