"""The registry of feature sets."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import features
from corpus.errors import NotFoundError
from corpus.features import FeatureSet
from tests.support.executables import small_pe


def test_basic_v1_is_there() -> None:
    basic = features.get("basic-v1")
    assert basic.name in features.names()
    assert [g.name for g in basic.groups] == [
        "general", "histogram", "byteentropy", "pe_header", "elf_header", "sections", "imports",
    ]  # fmt: skip
    assert basic.groups[0].start == 0
    assert all(a.stop == b.start for a, b in zip(basic.groups, basic.groups[1:], strict=False))
    assert basic.dim == basic.groups[-1].stop == 1534


def test_unknown_set_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match=r"no feature set 'basic-v0'.*basic-v1"):
        features.get("basic-v0")


def test_dimensions_cost_no_heavy_import() -> None:
    script = (
        "import sys; from corpus import features; features.get('basic-v1').dim; "
        "print([m for m in ('lief', 'numpy', 'pyarrow', 'polars', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_they_are_there_after_importing_the_package_alone() -> None:
    script = (
        "import corpus, sys; assert 'corpus.features' not in sys.modules; "
        "print(corpus.features.get('ember-v3').vector(b'some bytes').shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(2568,)\n"


@pytest.mark.parametrize("name", features.names())
def test_content_may_be_a_bytearray_or_a_view(name: str) -> None:
    feature_set = features.get(name)
    data = small_pe()
    for other in (bytearray(data), memoryview(data), memoryview(bytearray(data))):
        assert feature_set.vector(other).tobytes() == feature_set.vector(data).tobytes()
        assert feature_set.extract(other).raw == feature_set.extract(data).raw


@pytest.mark.parametrize("content", ["a/path", Path("a/path"), None, 3])
@pytest.mark.parametrize("name", features.names())
def test_what_is_not_bytes_is_refused(name: str, content: Any) -> None:
    for method in ("vector", "raw", "extract"):
        with pytest.raises(TypeError, match=f"as bytes, not as {type(content).__name__}"):
            getattr(features.get(name), method)(content)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("sets_of_the_test")
    module.raw = lambda data: {"size": len(data)}  # type: ignore[attr-defined]
    module.vectorize = lambda raw: np.full(2, raw["size"], np.float32)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_set_may_go_straight_from_bytes_to_vector(module: types.ModuleType) -> None:
    feature_set = FeatureSet("direct-v1", module.__name__, {"a": 1, "b": 1})
    assert feature_set.vector(b"123").tolist() == [3.0, 3.0]
    module.vector = lambda data: np.full(2, 7, np.float32)  # type: ignore[attr-defined]
    assert feature_set.vector(b"123").tolist() == [7.0, 7.0]
    # With the raw features at hand, the file is not read a second time.
    extracted = feature_set.extract(b"123")
    assert (extracted.vector.tolist(), extracted.raw) == ([3.0, 3.0], '{"size":3}')


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (np.array([1.0, np.nan], np.float32), "column 1 is not a finite number"),
        (np.array([-np.inf, 0.0], np.float32), "column 0 is not a finite number"),
        (np.zeros(3, np.float32), r"gave float32 \(3,\)"),
        (np.zeros(2), r"gave float64 \(2,\)"),
    ],
)
def test_a_bad_vector_is_refused(
    module: types.ModuleType, vector: np.ndarray, problem: str
) -> None:
    module.vectorize = lambda raw: vector  # type: ignore[attr-defined]
    feature_set = FeatureSet("bad-v1", module.__name__, {"a": 2})
    with pytest.raises(ValueError, match=problem):
        feature_set.vector(b"x")


@pytest.mark.parametrize("name", ["basic-v1", "ember-v3"])
def test_documented_offsets(name: str) -> None:
    text = Path(__file__).parents[3].joinpath("docs", "reference", "features.md").read_text()
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", section, re.MULTILINE)
    groups = features.get(name).groups
    assert table == [(g.name, str(g.start), str(g.stop - g.start)) for g in groups]
