"""deploy/scripts/engine.sh, as a person calls it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "scripts" / "engine.sh"


def engine(
    *words: str, environment: dict[str, str] | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), *words],
        check=False, capture_output=True, text=True, timeout=120, user=user, group=user,
        extra_groups=None if user is None else [], env={**os.environ, **(environment or {})},
    )  # fmt: skip
