"""Where verdicts come from: places, and whom each may speak for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from corpus.settings.section import Section

OnBadRow = Literal["reject", "refuse"]
Format = Literal[
    "auto", "manifest", "virustotal", "malwarebazaar", "ember", "sorel", "avclass", "hashes",
    "folders",
]  # fmt: skip
# As a reporter: whomever rows name.
ANYONE = "*"
# Columns of a verdict, as `corpus.verdicts.manifest` has them.
COLUMNS = (
    *("sha256", "md5", "sha1", "verdict", "reporter", "reported_at", "confidence"),
    *("family", "family_confidence", "first_seen"),
)


class Feed(Section):
    """One table `[[verdicts.feeds]]`."""

    place: str = Field(
        min_length=1, description="A verdict file, a folder or an fsspec URL of them."
    )
    reporter: list[str] = Field(
        default_factory=list,
        description="Whom its rows may name as their reporter, one or several; `*`: anyone.",
    )
    format: Format = Field("auto", description="What its files are; `auto`: told by their content.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="What its files call a column, such as `{ verdict = \"class\" }`; `\"=malicious\"` is a value for all "
        "rows.",
    )  # fmt: skip
    on_bad_row: OnBadRow = Field(
        "reject", description="A wrong row is left out and counted (`reject`), or refuses all."
    )

    @field_validator("reporter", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("reporter")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        names = [name.strip() for name in value]
        if not all(names):
            raise PydanticCustomError("reporter", "an empty name is no reporter")
        return names

    @field_validator("columns")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in COLUMNS:
                raise PydanticCustomError(
                    "columns", f"{name} is no column of a verdict; there are {', '.join(COLUMNS)}"
                )
        return value

    @model_validator(mode="after")
    def _hashes_say_a_verdict(self) -> Feed:
        if self.format == "hashes" and not self.columns.get("verdict", "").startswith("="):
            raise PydanticCustomError(
                "hashes", 'a list of hashes needs a verdict: columns = { verdict = "=malicious" }'
            )
        return self
