"""The version of this checkout's last commit, as Debian writes it; see `corpus.contract.version`."""

from __future__ import annotations

import argparse
from pathlib import Path

from corpus.contract.version import describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pep440", action="store_true", help="as Python writes it")
    parser.add_argument("--worktree", action="store_true", help="of the tracked files as they are")


def main(options: argparse.Namespace) -> int:
    version = describe(Path.cwd(), worktree=options.worktree)
    print(version.pep440 if options.pep440 else version.debian)
    return 0
