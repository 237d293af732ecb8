"""An Arrow table as a polars frame."""

from __future__ import annotations

import polars as pl
import pyarrow as pa


def frame(rows: pa.Table) -> pl.DataFrame:
    """An Arrow table as a polars frame of the same columns."""
    found = pl.from_arrow(rows)
    assert isinstance(found, pl.DataFrame)
    return found
