"""What a gate of `validate` says of an update."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Result = Literal["pass", "warn", "block"]


class Gate(BaseModel):
    """One judgement: a result, the number it rests on, and the thresholds it was held against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Gate, and after a slash the feature set and the group it is of.")
    result: Result
    value: float | None = Field(None, description="The number judged; null if none could be.")
    warn: float | None = Field(None, description="Threshold of a warning.")
    block: float | None = Field(None, description="Threshold of a block.")
    below: bool = Field(False, description="The thresholds are lower limits, not upper ones.")
    setting: str | None = Field(None, description="Setting that holds the threshold of a block.")
    message: str = Field(description="What was found, in words.")

    def line(self) -> str:
        """The gate as one line of a log."""
        number = "-" if self.value is None else f"{self.value:.4g}"
        limits = " ".join(
            f"{name} {'<' if self.below else '>'} {limit:g}"
            for name, limit in (("warn", self.warn), ("block", self.block))
            if limit is not None
        )
        return f"{self.result:5} {self.name}: {number}{f' ({limits})' if limits else ''}: {self.message}"
