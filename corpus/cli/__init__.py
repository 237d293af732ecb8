"""The `corpus` command: one command a service, and commands to look at what was published."""

from corpus.cli.main import cli, main

__all__ = ["cli", "main"]
