"""What every service has in common: a typed request and a typed report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """What a service is asked to do; each field is an option of its command."""

    # Built on first use: a DAG parse imports all of them and checks none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    update: str | None = Field(
        None, description="Id of the update to work in; without it a new one is begun."
    )


class Report(BaseModel):
    """What a service has done; small, and the same for the same work."""

    # As a request's.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    update: str = Field(description="Id of the update.")
