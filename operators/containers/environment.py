"""Variables of a container: everybody who may look at its task sees them, so they must not be secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from corpus.errors import BadInputError

SECRETS_ARE_FILES = (
    "Secrets go into files: `secrets` names a folder of the host that is mounted read-only."
)
# Whole words of a name: MAX_TOKENS, BYPASS_CACHE and GROUP_KEY are no secrets.
_SECRET_NAME = re.compile(
    r"""(?<![a-z0-9])
    (?: [a-z0-9]*(?:password|passwd|passphrase) | pass | pwd | sshpass | secret | token
      | credentials? | apikey
      | (?:secrets | (?:api|access|secret|private|encryption|signing|fernet|account)[^a-z0-9]?key) $
      | (?<!.) key $
    )
    (?![a-z0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_VALUE = re.compile(r"://[^/@\s]*:[^/@\s]+@")

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def no_proxy(*environments: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say what goes through no proxy: what the environments say of it, and loopback."""
    said = [one[name] for one in environments for name in ("no_proxy", "NO_PROXY") if one.get(name)]
    hosts = direct_hosts(*said)
    # A star means all only if it stands alone.
    direct = "*" if "*" in hosts else ",".join(dict.fromkeys([*hosts, *_LOOPBACK]))
    return {"no_proxy": direct, "NO_PROXY": direct}


def direct_hosts(*lists: str) -> list[str]:
    """The hosts of lists that say what goes through no proxy, without those that Airflow's client cannot read.

    It fails on an IPv6 address in brackets or with a length, whatever it calls.
    """
    hosts = [host.strip() for one in lists for host in one.split(",")]
    return [host for host in hosts if host and not _is_misread(host)]


def _is_misread(host: str) -> bool:
    return "://" not in host and (host.startswith("[") or (":" in host and "/" in host))


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables, if none looks like a secret. The error does not repeat a value."""
    # What another task will give is looked at when it is there.
    for name, value in environment.items() if isinstance(environment, dict) else ():
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(str(value)):
            raise BadInputError(
                f"{name} looks like a secret, which everybody would see.",
                field="environment",
                hint=SECRETS_ARE_FILES,
            )
    return environment
