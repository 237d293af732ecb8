"""Functions run on hostile bytes in child processes, so that one bad file costs one failed outcome.

    with Sandbox("package.module:function", jobs=2, timeout_s=60, memory_bytes=2**31,
                 recycle_after=1000) as sandbox:
        for outcome in sandbox.map(items):      # items: (key, bytes)
            ...

On the parent's side `pool` deals out files, `process` is one child and `template` what children are
forked from; `child` is what runs on the other side, and `wire` what they say to each other. `barriers`
are what a child is behind: those of `confine`, `landlock` and `system_calls`.
"""

from __future__ import annotations

from corpus.sandbox.pool import Outcome, Reason, Sandbox
from corpus.sandbox.stderr import printable

__all__ = ["Outcome", "Reason", "Sandbox", "printable"]
