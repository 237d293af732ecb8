"""What `import corpus` offers is kept from release to release."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import corpus
from corpus.snapshots.dataset import Dataset

FACE = {"errors", "features", "open_snapshot"}


def test_it_is_just_this() -> None:
    assert set(corpus.__all__) == FACE
    assert isinstance(corpus.features, ModuleType)
    assert issubclass(corpus.errors.NotFoundError, corpus.errors.CorpusError)
    assert corpus.open_snapshot.__annotations__["return"] == Dataset.__name__


def test_each_name_is_there_after_the_import_alone() -> None:
    code = "import corpus\nfor name in corpus.__all__: getattr(corpus, name)\nfrom corpus import *"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_name_is_an_attribute_error() -> None:
    assert not hasattr(corpus, "load")
