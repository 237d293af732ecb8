"""`rollback`: the way back to the release before, in one word."""

from __future__ import annotations

from argparse import Namespace

from deploy.host.releases import Releases
from deploy.host.settings import Settings
from deploy.host.verbs import switch

HELP = "switch to the release that was current before"
options = switch.dry_run


def run(settings: Settings, wanted: Namespace) -> int:
    releases = Releases(settings.releases.folder)
    return switch.to(releases, switch.back(releases), dry_run=wanted.dry_run)
