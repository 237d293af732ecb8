"""A stream's bytes, kept aside so that they can be read more than once and from any place."""

from __future__ import annotations

import tempfile
from typing import IO, cast

from corpus.store.faults import passing_faults

_CHUNK = 1 << 20
# Up to this size in memory, beyond it in a temporary file.
_IN_MEMORY = 32 << 20


class Spool:
    """The bytes of `stream` as `file`, of `size` bytes; closed with its context.

    Raises what reading the stream raises, and `PassingFaultError` if temporary space runs out.
    """

    def __init__(self, stream: IO[bytes]):
        self.file = cast(IO[bytes], tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        try:
            while chunk := stream.read(_CHUNK):
                with passing_faults(tempfile.gettempdir()):
                    self.file.write(chunk)
            self.size = self.file.tell()
            self.file.seek(0)
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
