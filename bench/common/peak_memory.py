"""Peak resident memory of one extraction in a fresh interpreter.

    python bench/common/peak_memory.py FEATURE_SET [FILE]

prints bytes; without a file those of an interpreter that has the set loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def peak_memory(feature_set: str, path: Path | None = None) -> int:
    """Peak resident bytes of a fresh process that makes the vector of a file; the file counts too."""
    command = [sys.executable, __file__, feature_set, *([str(path)] if path else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def main() -> None:
    from corpus import features

    feature_set = features.get(sys.argv[1]).load()
    if len(sys.argv) > 2:
        feature_set.vector(Path(sys.argv[2]).read_bytes())
    # Not ru_maxrss: that begins with what the parent had at the fork.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            print(int(line.split()[1]) * 1024)


if __name__ == "__main__":
    main()
