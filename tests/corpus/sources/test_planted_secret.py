"""No error about a file quotes it: it may be another file than the one that was meant, with a secret in it.

Each reader of what was not written by the corpus is here with files that it refuses. The kinds of manifests come from
the product, so a new kind fails until it is here.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.contract.run_identity import parse_identity
from corpus.errors import BadInputError
from corpus.places.places import Places
from corpus.settings import Settings
from corpus.sources.files import Files
from corpus.sources.listing import MANIFESTS
from corpus.sources.manifest import read_manifest
from tests.support.spellings import SECRET

pytestmark = pytest.mark.fast
A = "a" * 64


def parquet(**columns: object) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


# Of each column a value that is wrong and secret.
ROWS = [
    {"sha256": SECRET, "location": "a"},
    {"sha256": A, "location": f"{SECRET}://{SECRET}@{SECRET}"},
    {"sha256": A, "location": f"../../../{SECRET}"},
    {"sha256": A, "location": f"/etc/{SECRET}\0"},
    {"sha256": A, "location": "a", "first_seen": SECRET},
]
ODD = [
    {"sha256": [SECRET], "location": "a"},
    {"sha256": A, "location": {SECRET: SECRET}},
    {"sha256": A, "location": "a", "tags": {SECRET: 1}},
    {"sha256": A, "location": "a", "source": [SECRET]},
    [SECRET],
    SECRET,
]
PLAIN = [f"{SECRET}\n{SECRET}\n".encode(), SECRET.encode() + b"\xff\0\n", f'"{SECRET}'.encode()]
FILES = {
    ".csv": [
        *PLAIN,
        *("\n".join([",".join(row), ",".join(map(str, row.values()))]).encode() for row in ROWS),
        f"sha256,location\n{A},a,{SECRET}\n".encode(),
        f'sha256,location\n{A},"{SECRET}"{SECRET}\n'.encode(),
        f"sha256,location,{SECRET},sha256\n".encode(),
    ],
    ".jsonl": [
        *PLAIN,
        *(json.dumps(row).encode() for row in (*ROWS, *ODD)),
        f'{{"sha256": "{A}", {SECRET}'.encode(),
        f'{{"sha256": "{SECRET}\x01"}}'.encode(),
    ],
    ".parquet": [
        *PLAIN,
        b"PAR1" + SECRET.encode() * 20 + b"PAR1",
        *(parquet(**{name: [value] for name, value in row.items()}) for row in ROWS),
        parquet(**{SECRET: [SECRET]}),
        parquet(sha256=[SECRET.encode()], location=["a"]),
        parquet(sha256=[A], location=["a"])[:-40] + SECRET.encode() + b"PAR1",
    ],
}


def chain(error: BaseException) -> str:
    """The text of an error, and its fields."""
    return f"{error} {getattr(error, 'fields', '')}"


def test_every_kind_of_manifest_is_here() -> None:
    assert set(FILES) == set(MANIFESTS)


@pytest.mark.parametrize("suffix", MANIFESTS)
def test_a_manifest(tmp_path: Path, suffix: str) -> None:
    files = Files(Places().adding([str(tmp_path)]))
    for number, content in enumerate(FILES[suffix]):
        file = tmp_path / f"{number}{suffix}"
        file.write_bytes(content)
        with pytest.raises(BadInputError, match=str(file)) as caught:
            list(read_manifest(str(file), files))
        assert SECRET not in chain(caught.value)
        assert caught.value.file == str(file)


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        f"password {SECRET}\n".encode(),
        f"[{SECRET}\n".encode(),
        f'[a]\nb = "{SECRET}\n'.encode(),
        f"a = {SECRET}\n".encode(),
        f"{SECRET} = 1\n{SECRET} = 2\n".encode(),
        SECRET.encode() + b"\xff",
        b'[labels]\nmin_confidence = "' + SECRET.encode() + b'"\n',
        b'[sources]\nurls = "' + SECRET.encode() + b'"\n',
        b'[store]\noptions = "' + SECRET.encode() + b'"\n',
        b'[splits]\ntest_from = "' + SECRET.encode() + b'"\n',
    ],
)
def test_a_settings_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "corpus.toml"
    file.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        Settings.load(file=file)
    assert SECRET not in chain(caught.value)


@pytest.mark.parametrize("text", [SECRET, f'{{"{SECRET}', f'{{"dag_id": ["{SECRET}"]}}'])
def test_the_identity_of_a_run(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_identity(text, "CORPUS_RUN")
    assert SECRET not in chain(caught.value)
