"""How a secret may look where it has leaked."""

from __future__ import annotations

import base64
from urllib.parse import quote


def forms(secret: str) -> set[str]:
    """A secret as it is, quoted for a URL, and in base64 at each of the three offsets."""
    found = {secret, quote(secret, safe="")}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        # Without the ends, which hold bits of what stands before and after.
        found.add(encoded[4 if offset else 0 :].rstrip("=")[:-2])
    return found
