"""`corpus config`: every setting, its effective value, and where that came from."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from corpus.cli.session import Session
from corpus.errors import BadSettingError


@click.command(short_help="Show every setting, its value, and where that came from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("names", nargs=-1, metavar="[SECTION[.KEY]]...")
@click.pass_obj
def config(session: Session, as_json: bool, names: tuple[str, ...]) -> None:
    """Show every setting, its effective value, and where that came from; secrets are masked.

    A value comes from --set (a run's form), else the environment (CORPUS_SECTION__KEY), else the
    settings files, else the default. What workers read of the same files, such as [docker], is shown
    by `python -m operators.settings`.
    """
    from corpus.settings import OF_WORKERS, config_files
    from corpus.settings.effective import effective

    every = effective(session.settings, config_files(session.config), session.overrides)
    for name in names:
        if name.partition(".")[0] in OF_WORKERS:
            raise BadSettingError(
                "this is a setting of workers.",
                field=name,
                hint="`python -m operators.settings` shows it.",
            )
        if not any(row.name == name or row.name.startswith(f"{name}.") for row in every):
            raise BadSettingError(
                "there is no such setting.", field=name, hint="`corpus config` lists them all."
            )
    rows = [
        row
        for row in every
        if not names or any(row.name == name or row.name.startswith(f"{name}.") for name in names)
    ]
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row.name:<{width}}  {json.dumps(row.value)}  ({row.origin})")
