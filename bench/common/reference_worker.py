"""Runs the reference extractor in its own interpreter: a path a line in, a JSON object a line out.

    PYTHONHASHSEED=0 PYTHON bench/common/reference_worker.py CHECKOUT

Out come `cpu_s` by group (`pefile` is pefile's parsing, which the groups share), and `vector`, base64
of little-endian float32, or `error`. It uses nothing of this repository: the interpreter is another.
"""

import base64
import contextlib
import hashlib
import json
import os
import sys
import time
import warnings


def main() -> None:
    warnings.simplefilter("ignore")
    sys.path.insert(0, os.path.join(sys.argv[1], "src", "thrember"))
    import features
    import numpy as np
    import pefile

    extractor = features.PEFeatureExtractor()
    answers = sys.stdout
    # The reference prints what it stumbles over.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    answers.write(json.dumps({"groups": [group.name for group in extractor.features]}) + "\n")
    answers.flush()
    for line in sys.stdin:
        with open(line.rstrip("\n"), "rb") as stream:
            data = stream.read()
        spent = {}
        began = time.process_time()

        def lap(name: str, spent: dict = spent) -> None:
            nonlocal began
            now = time.process_time()
            spent[name] = spent.get(name, 0.0) + now - began
            began = now

        # As its own raw_features and process_raw_features do it, with a look at the clock between.
        answer: dict = {"cpu_s": spent}
        try:
            pe = None
            with contextlib.suppress(pefile.PEFormatError, AttributeError):
                pe = pefile.PE(data=data)
            lap("pefile")
            hashlib.sha256(data).hexdigest()
            lap("sha256")
            vectors = []
            for group in extractor.features:
                vectors.append(group.process_raw_features(group.raw_features(data, pe)))
                lap(group.name)
            vector = np.hstack(vectors).astype("<f4")
            lap("sha256")
            answer["vector"] = base64.b64encode(vector.tobytes()).decode()
        except Exception as error:
            lap("error")
            answer["error"] = f"{type(error).__name__}: {error}"
        pe = None
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
