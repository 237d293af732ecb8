"""What people, programs and a shell see of findings."""

from __future__ import annotations

import json

import pytest

from deploy.common.doctor import report
from deploy.common.doctor.finding import Finding

pytestmark = pytest.mark.fast

FINDINGS = [
    Finding("cores", "ok", "2"),
    Finding("disk of work", "warn", "0.5 GB free", "Make room there."),
    Finding("port", "wrong", "8080 is held.\nBy another one.", "Stop that."),
]


def test_columns_stand_below_each_other():
    assert list(report.table(FINDINGS)) == [
        "ok     cores         2",
        "warn   disk of work  0.5 GB free",
        "                     Make room there.",
        "wrong  port          8080 is held.",
        "                     By another one.",
        "                     Stop that.",
    ]
    assert list(report.table([])) == []


def test_json_has_the_same_four_words_for_each():
    read = json.loads(report.as_json(FINDINGS))
    assert [list(one) for one in read] == [["name", "status", "what", "do"]] * 3
    assert read[0] == {"name": "cores", "status": "ok", "what": "2", "do": ""}


def test_only_what_is_wrong_ends_with_3():
    assert report.status(FINDINGS[:2]) == 0
    assert report.status(FINDINGS) == 3
    assert report.summary(FINDINGS) == "3 things looked at: 1 wrong, 1 warn."
    assert report.summary(FINDINGS[:1]) == "1 things looked at: all are ok."
