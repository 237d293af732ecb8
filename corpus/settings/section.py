"""What all sections of the settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

# Every number has a maximum, the one of these that is meant where nothing smaller makes sense: what is
# far beyond it is a mistake, and breaks whatever counts in 64 bits or in dates. NaN is refused with it.
MOST = 1_000_000_000
MOST_BYTES = 2**50
MOST_DAYS = 36_500


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
