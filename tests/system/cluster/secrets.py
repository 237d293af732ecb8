"""How a secret may look where it has leaked."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus


def forms(secret: str) -> set[str]:
    """A secret as it is, quoted for URLs and for JSON, in hex, and in base64 at any place of a text."""
    plain = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found.add(plain.hex())
    for before in range(3):
        # The digits at both ends hold bits of what stands beside it.
        padded = bytes(before) + plain
        digits = slice((0, 2, 3)[before], len(padded) // 3 * 4)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(padded)[digits].decode())
    return found
