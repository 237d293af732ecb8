"""How a task failed, by the log that it left."""

from __future__ import annotations

import pytest

from tests.system.soak.failures import why

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("lines", "way"),
    [
        ([], "no log"),
        (["Starting", "Process terminated by signal. Likely out of memory"], "ended from outside"),
        (["AirflowException: PassingFaultError: no space left"], "PassingFaultError"),
        (["Task failed", "AirflowFailException: ConflictError: update u1 was abandoned."], "ConflictError"),
        (["AirflowException: label left no result: it was ended by signal 9 (killed)."], "ended from outside"),
        (["OSError: disk", "Task killed!"], "ended from outside"),
    ],
)  # fmt: skip
def test_the_last_error_of_a_log_says_why(lines, way):
    assert why(lines) == way
