"""Why a run is refused before any task of it starts.

Airflow itself refuses what the schema of a param does not take, when a run is triggered. What is left here it
accepts from the API and the form: a run with a logical date in the future would hold the place of its DAG until
that day, and a misspelled key of the conf would leave the default in place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

# By so much the clock of whoever triggers a run may be ahead; Airflow begins such a run when the time has come.
CLOCK_SKEW = timedelta(minutes=2)
# A key of Airflow's own has a slash in it.
_AIRFLOWS = re.compile(r"airflow/\w+")
_PLAIN = re.compile(r"[\w.-]{1,60}")


def refusal(
    conf: Mapping[str, Any], params: Collection[str], logical_date: datetime | None, now: datetime
) -> str | None:
    """Return why a run with this conf and this logical date cannot work, and what to do; None if it can.

    :param params: the names of the DAG's params.
    """
    if logical_date is not None and logical_date > now + CLOCK_SKEW:
        return (
            f"Refused: the logical date {logical_date.astimezone(UTC):%Y-%m-%d %H:%M} UTC is in the future, and "
            "no task may start before it. Trigger the run without a logical date."
        )
    unknown = [key for key in conf if key not in params and not _AIRFLOWS.fullmatch(key)]
    if not unknown:
        return None
    known = f"The params of this DAG are: {', '.join(params)}." if params else "This DAG has none."
    return f"Refused: there is no param {_named(unknown[0])}.{_meant(unknown[0], params)} {known}"


def _named(key: str) -> str:
    """A key as it may stand in a note, which is Markdown."""
    return f"`{key}`" if _PLAIN.fullmatch(key) else "of that name (it has unusual characters)"


def _meant(key: str, params: Collection[str]) -> str:
    near = difflib.get_close_matches(key, params, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
