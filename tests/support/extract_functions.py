"""An extractor for tests: the file says what becomes of it, set by set."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def extractor(*names: str) -> Callable[[bytes], Any]:
    """`NAME:what` lines in the file say what the set of that name does; others do well."""

    def extract(data: bytes) -> dict[str, Any]:
        lines = data.decode().splitlines()
        orders = dict(line.split(":", 1) for line in lines if ":" in line)
        return {name: _obey(orders.get(name, ""), data) for name in names}

    return extract


def _obey(order: str, data: bytes) -> Any:
    good = {"vector": np.full(4, len(data), np.float32), "raw": "{}"}
    if order == "hang":
        time.sleep(600)
    elif order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif order == "memory":
        raise MemoryError
    elif order == "error":
        return {"error": "ValueError: no\nsense"}
    elif order == "nan":
        good["vector"][1] = np.nan
    elif order == "short":
        good["vector"] = good["vector"][:2]
    elif order == "text":
        return "nonsense"
    elif order == "surrogate":
        good["raw"] = "\ud800"
    return good
