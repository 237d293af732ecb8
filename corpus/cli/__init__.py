"""The `corpus` command: one command a service, and commands to look at what was published.

Nothing else imports it, and what reads data is imported only by the command that needs it.
"""

from corpus.cli.main import cli, main

__all__ = ["cli", "main"]
