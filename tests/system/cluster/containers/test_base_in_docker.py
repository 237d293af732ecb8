"""What tests/operators/test_base.py says of operators, with services in containers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from operators.containers.scratch import CORPUS_USER

# Without `test_a_passing_fault_is_tried_again`, which gives S3's keys in the DAG: not with containers.
from tests.operators.test_base import (  # noqa: F401
    test_a_service_works_and_its_report_comes_back,
    test_a_setting_that_cannot_be_fails_at_once,
    test_a_template_that_gives_nonsense_fails_at_once,
    test_an_unknown_update_fails_at_once,
    test_an_update_without_shards_is_nothing_new,
    test_bad_input_fails_at_once_and_names_the_place,
    test_nothing_secret_is_on_the_command_line,
    test_publish_does_as_its_mode_says,
    test_root_names_another_corpus,
    test_templates_keep_their_types,
    test_the_update_and_its_record_are_those_of_the_run,
)
from tests.support.airflow_home import REPO
from tests.system.cluster.containers.world import World

pytestmark = pytest.mark.airflow


@pytest.fixture
def root(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus that is yet to be made, in a folder that containers see as the worker does."""
    os.chown(tmp_path, *CORPUS_USER)
    folder = tmp_path / "made" / "corpus"
    folder.parent.mkdir()
    os.chown(folder.parent, *CORPUS_USER)
    monkeypatch.setenv("CORPUS_STORE__ROOT", str(folder))
    monkeypatch.setenv("CORPUS_SOURCES__URLS", "[]")
    monkeypatch.setenv("CORPUS_DOCKER__BINDS", json.dumps([str(tmp_path), str(REPO)]))
    return folder
