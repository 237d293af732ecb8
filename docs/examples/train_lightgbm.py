"""From a snapshot to a model: LightGBM, trained on the split train, judged on the split test.

python docs/examples/train_lightgbm.py --root CORPUS    (after: pip install lightgbm scikit-learn)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from corpus import features, open_snapshot
from corpus.errors import BadInputError, CorpusError
from corpus.snapshots.dataset import Dataset

# A fixed seed and sums in a fixed order: the same trees each time, with any number of threads.
PARAMETERS = {
    "objective": "binary", "learning_rate": 0.1, "num_leaves": 64, "verbosity": -1,
    "seed": 0, "deterministic": True, "force_row_wise": True, "num_threads": 1,
}  # fmt: skip
# Columns that are codes, not quantities: is_pe, the first four bytes, machine, subsystem.
CATEGORIES = {name: [2, 3, 4, 5, 6, 701, 702] for name in ("ember-v3", "corpus-v1")}

Splits = dict[str, tuple[np.ndarray, np.ndarray]]  # X float32 [n, dim]; y int8 [n], 1 malicious


def load(snapshot: Dataset, feature_set: str) -> Splits:
    """The labelled samples that have a vector, by split; says how many are left out, and why."""
    if feature_set not in snapshot.feature_sets:
        features.get(feature_set)  # a name that stands for nothing is refused here
        root, has = snapshot.snapshot.store.url, list(snapshot.feature_sets)
        raise BadInputError(
            f"snapshot {snapshot.id} has no vectors of {feature_set!r}, only of {has}. A run that "
            f"re-extracts adds them (docs/reference/features.md): corpus --root {root} --set "
            f"'features.sets={json.dumps([*has, feature_set])}' collect --re-extract --limit 0"
        )
    print(f"Snapshot {snapshot.id}, digest {snapshot.manifest['content_digest']}")
    splits = {}
    for name in ("train", "validation", "test"):
        splits[name] = _, y = snapshot.to_numpy(name, feature_set=feature_set)
        print(f"  {name:10}  benign {(y == 0).sum()}, malicious {(y == 1).sum()}")
    rows = snapshot.to_polars(columns=["label", "split"])
    unknown = (rows["label"] == "unknown").sum()
    excluded = ((rows["split"] == "excluded") & (rows["label"] != "unknown")).sum()
    failed = len(rows) - unknown - excluded - sum(len(y) for _, y in splits.values())
    print(f"  left out    label unknown {unknown}, split excluded {excluded}, no vector {failed}")
    return splits


def train(splits: Splits, categories: list[int]) -> lgb.Booster:
    if set(splits["train"][1]) != {0, 1}:
        raise BadInputError("there is nothing to learn: train needs benign and malicious samples.")
    data = lgb.Dataset(*splits["train"], categorical_feature=categories)
    if set(splits["validation"][1]) != {0, 1}:
        print("Training 100 rounds: validation lacks a class, so no early stopping")
        return lgb.train(PARAMETERS, data, 100)
    valid = data.create_valid(*splits["validation"])
    model = lgb.train({**PARAMETERS, "early_stopping_round": 50}, data, 1000, [valid])
    print(f"Training {model.best_iteration} rounds: the best on validation")
    return model


def evaluate(model: lgb.Booster, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    if set(y) != {0, 1}:
        print("No scores: test lacks a class")
        return {}
    predicted = model.predict(X)
    # Every point of the curve: by default those on a straight line are dropped.
    false_positives, recall, _ = roc_curve(y, predicted, drop_intermediate=False)
    scores = {
        "ROC AUC": roc_auc_score(y, predicted),
        "average precision": average_precision_score(y, predicted),
        "recall at 1% false positives": recall[false_positives <= 0.01].max(),
    }
    print(f"Scores on test (of its benign samples, 1% is {(y == 0).sum() // 100})")
    print("\n".join(f"  {name:28}  {score:.4f}" for name, score in scores.items()))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", help="the corpus: folder or URL [that of the settings]")
    parser.add_argument("--snapshot", default="latest", help="its id [%(default)s]")
    parser.add_argument("--feature-set", default="ember-v3", help="[%(default)s]")
    parser.add_argument("--out", type=Path, default=Path("model.txt"), help="[%(default)s]")
    given = parser.parse_args()
    snapshot = open_snapshot(given.snapshot, root=given.root)
    splits = load(snapshot, given.feature_set)
    model = train(splits, CATEGORIES.get(given.feature_set, []))
    scores = evaluate(model, *splits["test"])
    print("Columns that matter most: group, column in the group, share of the gain")
    gains = model.feature_importance("gain")
    for column in np.argsort(-gains, kind="stable")[: min(10, np.count_nonzero(gains))]:
        group = next(g for g in features.get(given.feature_set).groups if column < g.stop)
        print(f"  {group.name:15} {column - group.start:4}  {gains[column] / gains.sum():6.1%}")
    model.save_model(given.out)
    made_of = {
        "model_sha256": hashlib.sha256(given.out.read_bytes()).hexdigest(),
        "snapshot": snapshot.id,
        "content_digest": snapshot.manifest["content_digest"],
        "feature_set": given.feature_set,
        "samples": {name: len(y) for name, (_, y) in splits.items()},
        "lightgbm": {"version": lgb.__version__, **PARAMETERS},
        "scores": scores,
    }
    Path(f"{given.out}.json").write_text(json.dumps(made_of, indent=2) + "\n")
    print(f"Model {given.out}; {given.out}.json says what it is made of")


if __name__ == "__main__":
    try:
        main()
    except CorpusError as error:
        sys.exit(str(error))
