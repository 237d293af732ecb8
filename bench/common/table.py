"""What all benchmarks print and leave: a small table, and the same figures as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """What a figure should not be read without."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def show_load() -> None:
    """Print what the machine is busy with already; wall-clock times of a busy one mean little."""
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def busy_s() -> float:
    """CPU seconds that anything on this machine has used since it started."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below their columns: the first to the left, numbers to the right."""
    cells = [list(columns), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print(
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
                ]
            )
        )


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def leave(path: Path | None, figures: dict[str, Any]) -> None:
    """Write figures with the machine they are of, where a file is asked for."""
    if path:
        path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
