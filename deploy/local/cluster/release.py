"""The checkout's code as a release, as the Debian package makes them on a host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corpus.contract.version import code_of
from deploy.host.manifest import Manifest
from deploy.host.releases import Releases

# A run that began with an older one would wait for it in vain; nobody edits so often within a run.
KEPT = 10


def release(repo: Path, code: Path) -> str:
    """Make `current` the code as it is now; returns the release's name.

    A running update ends on the release that it began with.
    """
    found = code_of(repo)
    files = Manifest.of(repo, found.version, found.revision or "checkout")
    # One version, and one build of it for each state of its files.
    manifest = replace(files, version=f"{found.version}-{files.digest[:12]}")
    releases = Releases(code)
    name = releases.install(repo, manifest=manifest)
    releases.switch(name)
    for old in releases.names()[:-KEPT]:
        if old != name:
            releases.remove(old)
    return name
