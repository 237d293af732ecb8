"""`release.json` for a payload that has been laid down: what debian/rules calls."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.host.manifest import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="with the packages of the bundle")
    parser.add_argument("--version", required=True, help="as Debian writes it")
    parser.add_argument("--revision", required=True, help="the commit")


def main(options: argparse.Namespace) -> int:
    manifest = Manifest.of(options.folder, options.version, options.revision)
    manifest.write(options.folder)
    print(f"{options.folder}: {len(manifest.files)} files, {manifest.digest}")
    return 0
