"""In the sandbox a file gets what it gets outside: whatever a set needs is loaded before the first one."""

from __future__ import annotations

from itertools import islice

import numpy as np

from corpus import features
from corpus.features.sandboxed import extractor
from corpus.sandbox import Sandbox
from corpus.services.ingest.identity import identify
from tests.support.executables import real_elfs, real_pes
from tests.support.fuzz.cases import base_files, case
from tests.support.pe.reference_inputs import inputs


def _files() -> dict[str, bytes]:
    real = {str(path): path.read_bytes() for path in (real_pes()[0], *real_elfs())}
    broken = {str(number): case(3, number, base_files([])).data for number in range(30)}
    return {
        name: data
        for name, data in (real | broken | dict(islice(inputs(), 0, None, 7))).items()
        if data
    }


def test_vectors_are_those_without_it() -> None:
    files, names = _files(), features.names()
    function = extractor(*names)
    with Sandbox("corpus.features.sandboxed:extractor", factory_arguments=names) as box:
        for outcome in box.map(files.items()):
            assert outcome.reason is None, outcome.detail
            expected = function(files[outcome.key])
            for name in names:
                ours, theirs = outcome.value[name], expected[name]
                assert ours.get("error") == theirs.get("error")
                assert ours.get("raw") == theirs.get("raw")
                assert np.array_equal(ours.get("vector", 0), theirs.get("vector", 0))


def test_identities_are_those_without_it() -> None:
    files = _files()
    with Sandbox("corpus.services.ingest.identity:identify") as box:
        for outcome in box.map(files.items()):
            assert (outcome.reason, outcome.value) == (None, identify(files[outcome.key]))
