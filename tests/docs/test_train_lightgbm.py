"""docs/examples/train_lightgbm.py as its reader runs it, on corpora of real executables."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from corpus import features, open_snapshot
from deploy.local import demo
from deploy.local.wheels import download
from tests.support.executables import real_pes

REPO = Path(__file__).resolve().parents[2]
EXAMPLE = REPO / "docs" / "examples" / "train_lightgbm.py"
ALL = "collect ingest import-verdicts label extract group split validate publish"
MALICIOUS, BENIGN = "malicious", "benign"
# First-seen times of made-up verdicts, and which split they mean.
SPLITS = {
    "train": datetime(2025, 1, 6, tzinfo=UTC),
    "validation": datetime(2025, 6, 2, tzinfo=UTC),
    "test": datetime(2025, 7, 7, tzinfo=UTC),
}


@dataclass(frozen=True)
class Corpus:
    """A corpus driven by its command, with `ember-v3` as its feature set."""

    root: Path
    samples: Path
    verdicts: Path

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        given = {
            "sources.urls": [str(self.samples)],
            "verdicts.feeds": [{"place": str(self.verdicts), "reporter": "*"}],
            "features.sets": ["ember-v3"],
        }
        settings = [f"--set={name}={json.dumps(value)}" for name, value in given.items()]
        command = [sys.executable, "-m", "corpus", "--root", str(self.root), *settings, *arguments]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    def update(self, name: str, *settings: str, services: str = ALL) -> None:
        for service in services.split():
            self.call(*settings, service, "--update", name)

    def train(self, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the example in the folder of `out`, which is all that it may write to."""
        command = [sys.executable, str(EXAMPLE), "--root", str(self.root), "--out", out.name]
        return subprocess.run(
            [*command, *arguments], cwd=out.parent, capture_output=True, text=True, check=False
        )


def trained(corpus: Corpus, out: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What the example prints, and what it says of the model."""
    out.parent.mkdir()
    done = corpus.train(out, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in out.parent.iterdir()} == {out.name, f"{out.name}.json"}
    return done.stdout, json.loads(out.with_name(f"{out.name}.json").read_text())


def small_elfs(folder: Path) -> Iterator[Path]:
    """ELF files of at most 100 KB below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 100_000:
            continue
        with path.open("rb") as stream:
            if stream.read(4) == b"\x7fELF":
                yield path


def write_verdicts(file: Path, rows: Sequence[tuple[str, str, datetime]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sha256", "verdict", "reporter", "reported_at", "first_seen"])
        writer.writerows((sha, verdict, "analyst", seen, seen) for sha, verdict, seen in rows)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Snapshot `one`: programs play benign, Python's extensions malicious; both in all splits.

    Three samples have no verdict, and one has no vector, since it does not fit into the limit.
    """
    folder = tmp_path_factory.mktemp("real")
    made = Corpus(folder / "corpus", folder / "samples", folder / "verdicts.csv")
    made.samples.mkdir()
    extensions = list(small_elfs(Path(sysconfig.get_paths()["platlib"]) / "sklearn"))
    extensions += list(small_elfs(Path(sysconfig.get_paths()["platlib"]) / "scipy"))
    programs = list(small_elfs(Path("/usr/bin")))
    pes = {path: MALICIOUS if "distlib" in path.parts else BENIGN for path in real_pes()}
    plays = dict.fromkeys(programs[:60], BENIGN) | dict.fromkeys(extensions[:60], MALICIOUS) | pes
    rows = {}
    for number, (path, verdict) in enumerate(plays.items()):
        data = path.read_bytes()
        split = "train" if path in pes else ("train", "train", "validation", "test")[number % 4]
        seen = SPLITS[split] + timedelta(hours=number)
        shutil.copyfile(path, made.samples / f"{number}-{path.name}")
        rows[hashlib.sha256(data).hexdigest()] = (verdict, seen)
    swollen = real_pes()[0].read_bytes() + bytes(80 << 20)
    (made.samples / "swollen.exe").write_bytes(swollen)
    rows[hashlib.sha256(swollen).hexdigest()] = (BENIGN, SPLITS["train"])
    for path in programs[60:63]:
        shutil.copyfile(path, made.samples / f"unknown-{path.name}")
    write_verdicts(made.verdicts, [(sha, *row) for sha, row in rows.items()])
    limits = ["features.memory_bytes=67108864", "groups.tlsh_distance=0", "groups.imphash=false"]
    cuts = ["splits.validation_from=2025-05-26", "splits.test_from=2025-06-30"]
    made.update("one", *(f"--set={setting}" for setting in [*limits, *cuts]))
    return made


def roc_auc(y: np.ndarray, predicted: np.ndarray) -> float:
    """How often a malicious sample scores above a benign one: by its definition, pair by pair."""
    above = predicted[y == 1][:, None] - predicted[y == 0][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def recall_at(y: np.ndarray, predicted: np.ndarray, false_positives: float) -> float:
    """The highest recall of all thresholds with at most so many false positives."""
    thresholds = [np.inf, *predicted]
    allowed = [t for t in thresholds if (predicted[y == 0] >= t).mean() <= false_positives]
    return max(float((predicted[y == 1] >= t).mean()) for t in allowed)


def check(printed: str, made_of: dict[str, Any], out: Path, corpus: Corpus, snapshot: str) -> None:
    """The model, the scores and the columns are what they are said to be."""
    opened = open_snapshot(snapshot, root=corpus.root)
    assert made_of["snapshot"] == opened.id
    assert made_of["content_digest"] == opened.manifest["content_digest"]
    assert f"Snapshot {opened.id}, digest {opened.manifest['content_digest']}" in printed
    assert made_of["model_sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    X, y = opened.to_numpy("test", feature_set="ember-v3")
    model = lgb.Booster(model_file=out)
    predicted = np.asarray(model.predict(X))
    assert made_of["scores"]["ROC AUC"] == pytest.approx(roc_auc(y, predicted))
    recall = recall_at(y, predicted, 0.01)
    assert made_of["scores"]["recall at 1% false positives"] == pytest.approx(recall)
    for name, score in made_of["scores"].items():
        assert re.search(rf"^  {name} +{score:.4f}$", printed, re.MULTILINE)
    for name in ("train", "validation", "test"):
        y = opened.to_numpy(name, feature_set="ember-v3")[1]
        counts = f"benign {(y == 0).sum()}, malicious {(y == 1).sum()}"
        assert re.search(rf"^  {name} +{counts}$", printed, re.MULTILINE)
        assert made_of["samples"][name] == len(y)
    columns = re.findall(r"^  (\w+) +(\d+) +([\d.]+)%$", printed, re.MULTILINE)
    starts = {group.name: group.start for group in features.get("ember-v3").groups}
    gains = model.feature_importance("gain")
    shares = [gains[starts[group] + int(column)] / gains.sum() for group, column, _ in columns]
    assert [float(share) for _, _, share in columns] == pytest.approx(
        [100 * share for share in shares], abs=0.051
    )
    assert sorted(shares, reverse=True) == pytest.approx(
        sorted(gains[gains > 0] / gains.sum(), reverse=True)[:10]
    )


def trained_here(corpus: Corpus, made_of: dict[str, Any]) -> lgb.Booster:
    """The model made again of what is said of it: 100 rounds, on the split train alone."""
    opened = open_snapshot(made_of["snapshot"], root=corpus.root)
    X, y = opened.to_numpy("train", feature_set=made_of["feature_set"])
    starts = {group.name: group.start for group in features.get("ember-v3").groups}
    start_bytes = [starts["general"] + 3 + n for n in range(4)]
    codes = [starts["general"] + 2, *start_bytes, starts["header"] + 5, starts["header"] + 6]
    parameters = {name: v for name, v in made_of["lightgbm"].items() if name != "version"}
    # With another number of threads, too.
    parameters["num_threads"] += 1
    return lgb.train(parameters, lgb.Dataset(X, y, categorical_feature=codes), 100)


def trees(model: lgb.Booster) -> str:
    return model.model_to_string().partition("\nparameters:")[0]


def test_from_executables_to_a_model(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "a" / "model.txt"
    printed, made_of = trained(corpus, out)
    check(printed, made_of, out, corpus, "latest")
    assert "left out    label unknown 3, split excluded 0, no vector 1" in printed
    assert re.search(r"^Training \d+ rounds: the best on validation$", printed, re.MULTILINE)
    assert made_of["scores"]["ROC AUC"] > 0.9
    # Again, and the model is the same byte for byte.
    again, _ = trained(corpus, tmp_path / "b" / "model.txt")
    assert again == printed
    assert (tmp_path / "b" / "model.txt").read_bytes() == out.read_bytes()


def test_the_model_scores_files_of_any_folder(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "a" / "model.txt"
    trained(corpus, out)
    programs = [str(path) for path in list(small_elfs(Path("/usr/bin")))[63:73]]
    vectors = tmp_path / "new.npz"
    corpus.call("vectorize", "--feature-set", "ember-v3", "--out", str(vectors), *programs)
    with np.load(vectors, allow_pickle=False) as archive:
        assert archive["paths"].tolist() == programs
        predicted = np.asarray(lgb.Booster(model_file=out).predict(archive["X"]))
    # Programs were benign.
    assert (predicted < 0.5).mean() > 0.5


def test_what_cannot_be_trained_or_measured_is_said(corpus: Corpus, tmp_path: Path) -> None:
    kept = tmp_path / "a" / "model.txt"
    trained(corpus, kept)
    one = open_snapshot("one", root=corpus.root).to_polars(columns=["sha256", "split"])
    late = datetime(2025, 12, 1, tzinfo=UTC)

    def relabel(verdict: str, splits: Sequence[str]) -> None:
        rows = [(sha256, verdict, late) for sha256, split in one.iter_rows() if split in splits]
        write_verdicts(corpus.verdicts, rows)
        corpus.update(verdict, services="import-verdicts label validate publish")

    relabel(BENIGN, ["test", "validation"])
    out = tmp_path / "b" / "model.txt"
    printed, made_of = trained(corpus, out)
    assert "No scores: test lacks a class" in printed
    assert "Training 100 rounds: validation lacks a class, so no early stopping" in printed
    assert made_of["scores"] == {}
    assert trees(lgb.Booster(model_file=out)) == trees(trained_here(corpus, made_of))

    relabel(MALICIOUS, ["train"])
    nothing = corpus.train(tmp_path / "model.txt")
    assert nothing.returncode == 1
    assert nothing.stderr.endswith("train needs benign and malicious samples.\n")
    assert not (tmp_path / "model.txt").exists()

    # Whatever was published since, the snapshot that it names gives the same model.
    trained(corpus, tmp_path / "c" / "model.txt", "--snapshot", "one")
    assert (tmp_path / "c" / "model.txt").read_bytes() == kept.read_bytes()


def test_a_feature_set_that_is_not_there_is_named_with_the_remedy(
    corpus: Corpus, tmp_path: Path
) -> None:
    done = corpus.train(tmp_path / "model.txt", "--feature-set", "basic-v1")
    assert done.returncode == 1
    assert "has no vectors of 'basic-v1', only of ['ember-v3']" in done.stderr
    remedy = done.stderr.partition("(docs/reference/features.md): ")[2].strip()
    assert remedy == (
        f'corpus --root {corpus.root} --set \'features.sets=["ember-v3", "basic-v1"]\' '
        "collect --re-extract --limit 0"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    found = subprocess.run(remedy, shell=True, env=environment, capture_output=True, text=True)
    samples = open_snapshot(root=corpus.root).counts["samples"]
    assert re.search(rf"known samples +{samples}\b", found.stdout), found.stdout + found.stderr
    assert list(tmp_path.iterdir()) == []

    unknown = corpus.train(tmp_path / "model.txt", "--feature-set", "no-such-v1")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("there is no feature set 'no-such-v1'. There are: basic-v1,")


@pytest.fixture(scope="module")
def wheels(pytestconfig: pytest.Config) -> Path:
    """The demo's wheels, kept from one run of the tests to the next."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("demo-wheels")
    # One tells whether there is a registry at all: to wait for all of them takes minutes.
    smallest, *others = sorted(demo.pinned(), key=lambda wheel: wheel.size)
    for some in ([smallest], others):
        gone = [wheel.name for wheel, arrived in download(some, folder) if not arrived]
        if gone:
            pytest.skip(f"wheels of the demo cannot be had: {', '.join(gone)}")
    return folder


@pytest.mark.timeout(900)
def test_the_demo(wheels: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "samples").mkdir(parents=True)
    for wheel in demo.pinned():
        shutil.copyfile(wheels / wheel.name, folder / "samples" / wheel.name)
    made = Corpus(tmp_path / "corpus", *demo.fetch(folder))
    made.update("demo")
    out = tmp_path / "model" / "model.txt"
    printed, made_of = trained(made, out)
    check(printed, made_of, out, made, "demo")
    assert made_of["scores"]["ROC AUC"] > 0.95
    # What docs/guides/training.md shows, but for numbers that another LightGBM may change.
    told = (REPO / "docs" / "guides" / "training.md").read_text()
    assert "\n".join(printed.splitlines()[1:7]) in told
    assert f"digest {made_of['content_digest']}" in told
