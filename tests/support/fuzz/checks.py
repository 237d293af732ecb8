"""What has to hold of the feature sets, whatever a file's bytes are."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpus import features
from corpus.errors import BadInputError
from corpus.features.corpus_v1.warnings import kinds as corpus_kinds
from corpus.features.ember_v3.kernels.content import Content
from corpus.features.ember_v3.pe.image import read_image
from corpus.features.ember_v3.pe.unusual import UnusualError
from corpus.features.ember_v3.pefile_compat.fallback import read_image_by_pefile
from corpus.features.ember_v3.pefile_compat.format_warnings import kinds as ember_kinds

# What EMBER2024's extractor fails with on broken files, so does ember-v3, as there is nothing to be
# equal to. corpus-v1 reads the same structure.
_REFUSALS = {
    "ember-v3": ("the definition fails with this signature", "the definition fails with this PE"),
    "corpus-v1": ("the definition fails with this PE",),
}


@dataclass
class Outcome:
    """What was found of one file; `problems` is empty where all is well."""

    problems: list[str] = field(default_factory=list)
    refused: str = ""
    """What ember-v3 or corpus-v1 refused the file with."""
    unusual: str = ""
    """Why the fast readers left the file to pefile."""
    compared: bool = False
    """Whether fast readers and pefile both read it."""


def check(data: bytes, *, thorough: bool = True) -> Outcome:
    """Extract all sets; if `thorough`, also the second way to everything that has two."""
    outcome = Outcome()
    for name in features.names():
        feature_set = features.get(name)
        try:
            # Shape, type and finiteness are checked there.
            vector = feature_set.vector(data)
            if thorough:
                _raw(name, data, vector, outcome)
        except BadInputError as error:
            if str(error).startswith(_REFUSALS.get(name, ())):
                outcome.refused = str(error)
            elif data:
                _failed(outcome, name, error)
        except Exception as error:
            _failed(outcome, name, error)
    if data:
        _both_ways(data, outcome, thorough)
    return outcome


def _failed(outcome: Outcome, name: str, error: Exception) -> None:
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{name}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    outcome.problems.append(text)


def _raw(name: str, data: bytes, vector: np.ndarray, outcome: Outcome) -> None:
    feature_set = features.get(name)
    raw = feature_set.raw(data)
    stored = json.loads(json.dumps(raw, allow_nan=False))
    for way, features_of_it in (("raw", raw), ("stored raw", stored)):
        if feature_set.vectorize(features_of_it).tobytes() != vector.tobytes():
            outcome.problems.append(f"{name}: the {way} features give another vector")


def _both_ways(data: bytes, outcome: Outcome, thorough: bool) -> None:
    content = Content(data)
    try:
        fast = read_image(data, content.entropy_of)
    except UnusualError as reason:
        outcome.unusual = str(reason)
        return
    except BadInputError as error:
        fast = {"refused": str(error)}
    except Exception as error:
        _failed(outcome, "fast readers", error)
        return
    if thorough:
        try:
            slow = read_image_by_pefile(data, content.entropy_of)
        except BadInputError as error:
            slow = {"refused": str(error)}
        except Exception as error:
            _failed(outcome, "pefile", error)
            return
        outcome.compared = fast is not None
        outcome.problems += differences(fast, slow)


def differences(fast: dict[str, Any] | None, slow: dict[str, Any] | None) -> list[str]:
    """The groups in which what two readers read of a file differs."""
    if fast is None or slow is None:
        return (
            [] if fast is slow else [f"a PE file to {'pefile' if slow else 'fast readers'} alone"]
        )
    pairs = zip(_texts(fast), _texts(slow), strict=True)
    return [f"fast {one[:500]}, pefile {other[:500]}" for one, other in pairs if one != other]


def _texts(image: dict[str, Any]) -> Iterator[str]:
    """What a reader read as texts, one a group; warnings as the two sets understand them."""
    for group, value in sorted(image.items()):
        if group == "pefilewarnings":
            yield f"ember-v3 {sorted(ember_kinds(value))}"
            yield f"corpus-v1 {sorted(corpus_kinds(value))}"
        else:
            yield f"{group} {value}"
