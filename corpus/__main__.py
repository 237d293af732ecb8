"""`python -m corpus` is the `corpus` command, in a process of its own that starts and ends quickly.

Every task of every update is such a process, and most of them have less to do than to import.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn


def command() -> NoReturn:
    # What is imported stays: looking through it again and again for garbage finds none.
    gc.set_threshold(100_000)
    from corpus.cli import main
    from corpus.cli.pandas import WithoutPandas

    sys.meta_path.insert(0, WithoutPandas())

    status: object = 1
    try:
        main()
    except SystemExit as stop:
        status = stop.code
    finally:
        # Who reads the output may have gone.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    # Nothing is left to do; taking all that was imported apart again would be the most of it.
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    command()
