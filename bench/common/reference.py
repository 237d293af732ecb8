"""The reference extractor beside ours: asked file by file, in the same run."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

_WORKER = Path(__file__).with_name("reference_worker.py")


@dataclass(frozen=True)
class Answer:
    """CPU seconds by group, and the vector; or `error`, what the reference failed with."""

    cpu_s: dict[str, float]
    vector: np.ndarray | None
    error: str


class Reference:
    """A checkout of the reference (it has src/thrember) in an interpreter with its dependencies."""

    def __init__(self, checkout: Path, python: Path):
        if not (checkout / "src" / "thrember" / "features.py").is_file():
            raise SystemExit(f"{checkout} has no src/thrember/features.py.")
        self._process = subprocess.Popen(
            [str(python), str(_WORKER), str(checkout.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # One warning of it depends on the seed; a library that uses more threads gains nothing.
            env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        )
        self.groups: list[str] = self._receive()["groups"]

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, path: Path) -> Answer:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{path.resolve()}\n")
        self._process.stdin.flush()
        answer = self._receive()
        vector = None
        if "vector" in answer:
            vector = np.frombuffer(base64.b64decode(answer["vector"]), "<f4")
        return Answer(answer["cpu_s"], vector, answer.get("error", ""))

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The reference ended with status {self._process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer
