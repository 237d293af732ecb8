"""Family names out of the names that antivirus engines gave, by AVClass."""

from __future__ import annotations

import string
from functools import cached_property
from typing import Any

from corpus.verdicts.family_names import FamilyNames
from corpus.verdicts.rule import Correlation
from corpus.verdicts.virustotal import ScanReport

_PRINTABLE = frozenset(string.printable)
# AVClass's categories of a name: a family it knows, or a word it does not know to be anything else.
_FAMILY_CATEGORIES = ("FAM", "UNK")


class FamilyNamer:
    """Names families as AVClass does: the family, or unknown word, that most engines agree on.

    At least two engines must agree, and words that name no family (generic names, behaviours,
    classes) do not count. What a family is called is the settings' to say. AVClass's own labeler is not used: it prints, and reconfigures logging.
    """

    def __init__(self, correlation: Correlation, names: FamilyNames):
        self.correlation = correlation
        self.names = names

    @cached_property
    def _avclass(self) -> Any:
        # Deferred: reads 6,000 rules.
        from avclass.common import AvLabels

        return AvLabels()

    def name(self, report: ScanReport) -> tuple[str | None, float | None]:
        """The family and its confidence; (None, None) where the engines do not agree on a name.

        The confidence is the share of the voters (correlated engines have one vote) that detected
        the file and named this family.
        """
        names = {
            answer.engine: "".join(c for c in answer.name if c in _PRINTABLE).strip()
            for answer in report.answers
            if answer.detected and answer.name
        }
        if len(names) < 2:
            return None, None
        from avclass.common import SampleInfo

        sample = SampleInfo(*report.hashes, report.sha256, list(names.items()), [])
        engines_of = self._avclass.get_sample_tags(sample)
        for tag, _ in self._avclass.rank_tags(engines_of):
            if self._avclass.taxonomy.get_category(tag) in _FAMILY_CATEGORIES:
                # AVClass keeps one of several engines with the very same name: all of them agree.
                agreed = {names[engine] for engine in engines_of[tag]}
                agreeing = self.correlation.voters(e for e, name in names.items() if name in agreed)
                detecting = self.correlation.voters(a.engine for a in report.answers if a.detected)
                if called := self.names.called(str(tag)):
                    return called, len(agreeing) / len(detecting)
        return None, None
